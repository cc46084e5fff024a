"""One page with everything: findings, pictures and last values, in a file that needs no other."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from laminar.callbacks.telemetry.pictures import Pictures
from laminar.callbacks.telemetry.rules import Finding
from laminar.core.lazy import lazy_module

__all__ = ["write_report"]

plt = lazy_module("matplotlib.pyplot")

_LINES = (
    ("loss", "mean"), ("activations", "std"), ("activations", "mean"), ("weights", "norm"), ("gradients", "norm"),
    ("updates", "update_to_weight"), ("weights", "effective_learning_rate"),
)  # fmt: skip
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}"
    "img{max-width:100%}table{border-collapse:collapse;font-size:13px}td,th{padding:2px 10px;text-align:right;"
    "border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}.finding{background:#fff3e0;"
    "border-left:4px solid #fb8c00;padding:6px 12px;margin:8px 0}"
)


def write_report(
    telemetry: Pictures, findings: Sequence[Finding], path: str | Path, title: str, pngs: bool = False
) -> Path:
    """Write a page of what was measured and found.

    Args:
        telemetry: what was measured.
        findings: what rules have found.
        path: of the HTML file; folders are made.
        title: of the page.
        pngs: write the pictures as PNG files too, into a folder beside the page with its name.

    Returns:
        The page's path.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = {name: _png(draw) for name, draw in _pictures(telemetry)}
    if pngs:
        folder = path.with_suffix("")
        folder.mkdir(exist_ok=True)
        for name, png in pictures.items():
            (folder / f"{name.replace(' ', '_')}.png").write_bytes(png)
    told = [f'<p class="finding">{html.escape(str(finding))}</p>' for finding in findings]
    shown = [
        f'<h2>{html.escape(name)}</h2><img alt="{html.escape(name)}" '
        f'src="data:image/png;base64,{base64.b64encode(png).decode()}">'
        for name, png in pictures.items()
    ]
    body = [f"<h1>{html.escape(title)}</h1>", *(told or ["<p>No rule has found anything.</p>"]), *shown]
    page = ["<!doctype html><html><head><meta charset='utf-8'>", f"<title>{html.escape(title)}</title>"]
    page += [
        f"<style>{_STYLE}</style></head><body>",
        *body,
        "<h2>last values</h2>",
        _table(telemetry),
        "</body></html>",
    ]
    path.write_text("\n".join(page), encoding="utf-8")
    return path


def _pictures(telemetry: Pictures) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The pictures that can be drawn, by name."""
    record = telemetry.record
    for of, stat in _LINES:
        if record.layers(of, stat):
            yield f"{stat} of {of}".replace("_", " "), partial(telemetry.plot, stat, of)
    for stat in ("dead_units", "share_near_zero"):
        if record.layers("activations", stat):
            yield stat.replace("_", " "), partial(telemetry.dead_chart, stat)
    for of in ("activations", "weights", "gradients", "updates"):
        if record.layers(of, "percentiles"):
            yield f"percentiles of {of}", partial(telemetry.plot_sheet, of)
    for layer in record.layers("activations", "histogram"):
        yield f"histograms of {layer}", partial(telemetry.color_dim, layer)


def _png(draw: Callable[[], Any]) -> bytes:
    drawn = draw()
    figure = getattr(drawn, "figure", drawn) if not hasattr(drawn, "savefig") else drawn
    file = io.BytesIO()
    figure.savefig(file, dpi=100)
    plt.close(figure)
    return file.getvalue()


def _table(telemetry: Pictures) -> str:
    """Of each layer the last value of each statistic that has one value."""
    record = telemetry.record
    columns: dict[tuple[str, str], None] = {}
    rows: dict[str, dict[tuple[str, str], float]] = {}
    for layer, of, stat in record.measured():
        series = record.series(layer, of, stat, last=1)
        if series.values.ndim == 1 and of in ("activations", "weights", "gradients", "updates"):
            columns[of, stat] = None
            rows.setdefault(layer, {})[of, stat] = float(series.values[-1])
    head = "".join(f"<th>{of}<br>{stat.replace('_', ' ')}</th>" for of, stat in columns)
    lines = [
        f"<tr><td>{html.escape(layer)}</td>"
        + "".join(f"<td>{f'{row[column]:.4g}' if column in row else ''}</td>" for column in columns)
        + "</tr>"
        for layer, row in rows.items()
    ]
    return f"<table><tr><th>layer</th>{head}</tr>{''.join(lines)}</table>"
