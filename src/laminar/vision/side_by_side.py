"""How pictures are drawn with masks, points, boxes and other pictures: predictions beside targets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Unpack

from PIL import Image

from laminar.core.show import (
    AxesList,
    Samples,
    ShowOptions,
    divide_options,
    draw_each,
    get_grid,
    plot_top_losses,
    show_batch,
    show_parts,
    show_results,
)
from laminar.core.titled import MultiCategory
from laminar.core.types import TensorBBox, TensorImageBase, TensorMask, TensorPoint, is_showable
from laminar.vision.positions import LabeledBBox

__all__ = [
    "plot_worst_targets",
    "show_pairs",
    "show_predicted_pictures",
    "show_target_and_prediction",
    "show_targets",
    "show_views",
    "show_views_with_predictions",
]


def with_names(sample: Sequence[Any]) -> list[Any]:
    """A decoded sample in which boxes and the names of their classes are one part, to be drawn together."""
    parts = list(sample)
    for index in range(len(parts) - 1):
        boxes, names = parts[index : index + 2]
        if isinstance(boxes, TensorBBox) and isinstance(names, MultiCategory) and len(boxes) == len(names):
            parts[index : index + 2] = [LabeledBBox(boxes, names), None]
    return [part for part in parts if part is not None]


def _draw(ax: Any, parts: Sequence[Any], **drawing: Any) -> Any:
    return show_parts(parts if is_showable(parts) else with_names(parts), ctx=ax, **drawing)


@show_batch.register
def show_targets(
    x: TensorImageBase,
    y: tuple,  # type: ignore[type-arg]  # several targets; dispatch is by the bare class
    samples: Samples,
    ctxs: Sequence[Any] | None = None,
    max_n: int = 9,
    **options: Unpack[ShowOptions],
) -> AxesList:
    """Draw pictures with several targets; boxes get the names of their classes (see `laminar.core.show.show_batch`)."""
    return draw_each(_draw, samples[:max_n], ctxs=ctxs, **options)


@show_batch.register
def show_pairs(
    x: TensorImageBase,
    y: TensorImageBase,
    samples: Samples,
    ctxs: Sequence[Any] | None = None,
    max_n: int = 9,
    **options: Unpack[ShowOptions],
) -> AxesList:
    """Draw pictures beside the pictures that are their targets (see `laminar.core.show.show_batch`)."""
    return _beside([sample[:2] for sample in samples[:max_n]], ctxs, None, options)


@show_batch.register
def show_views(
    x: tuple,  # type: ignore[type-arg]  # several inputs; dispatch is by the bare class
    y: object,
    samples: Samples,
    ctxs: Sequence[Any] | None = None,
    max_n: int = 9,
    **options: Unpack[ShowOptions],
) -> AxesList:
    """Draw several pictures that are one input side by side, the rest with the first (see `show_batch`)."""
    if is_showable(x):  # a user's class of tuples, which draws itself
        return draw_each(_draw, samples[:max_n], ctxs=ctxs, **options)
    return _beside([_views(sample) for sample in samples[:max_n]], ctxs, None, options)


@show_results.register
def show_views_with_predictions(
    x: tuple,  # type: ignore[type-arg]  # see show_views
    y: object,
    samples: Samples,
    outs: Samples,
    ctxs: Sequence[Any] | None = None,
    max_n: int = 9,
    **options: Unpack[ShowOptions],
) -> AxesList:
    """Draw several pictures that are one input, target and prediction with the first (see `show_results`)."""
    rows = [_views((*sample, *out)) for sample, out in zip(samples[:max_n], outs, strict=False)]
    return _beside(rows, ctxs, "Prediction" if y is None else "Target/Prediction", options)


def _views(sample: Sequence[Any]) -> list[tuple[Any, ...]]:
    """What to draw on each axes: the first picture with all that is no picture, then the other pictures."""
    flat = list(_flat(sample))
    pictures = [part for part in flat if isinstance(part, TensorImageBase | Image.Image)]
    rest = [part for part in flat if not isinstance(part, TensorImageBase | Image.Image)]
    return [(*pictures[:1], *rest), *((picture,) for picture in pictures[1:])]


def _flat(parts: Sequence[Any]) -> Iterator[Any]:
    for part in parts:
        if isinstance(part, tuple) and not hasattr(part, "show"):
            yield from _flat(part)
        else:
            yield part


@show_results.register
def show_target_and_prediction(
    x: TensorImageBase,
    y: TensorMask | TensorPoint | TensorBBox | tuple,  # type: ignore[type-arg]  # see show_targets
    samples: Samples,
    outs: Samples,
    ctxs: Sequence[Any] | None = None,
    max_n: int = 9,
    **options: Unpack[ShowOptions],
) -> AxesList:
    """Draw each picture twice: with its target, and with its prediction (see `laminar.core.show.show_results`)."""
    return _beside(_with_predictions(samples[:max_n], outs), ctxs, "Target/Prediction", options)


@show_results.register
def show_predicted_pictures(
    x: TensorImageBase,
    y: TensorImageBase,
    samples: Samples,
    outs: Samples,
    ctxs: Sequence[Any] | None = None,
    max_n: int = 9,
    **options: Unpack[ShowOptions],
) -> AxesList:
    """Draw input, target and prediction side by side (see `laminar.core.show.show_results`)."""
    rows = [(*sample[:2], out[0]) for sample, out in zip(samples[:max_n], outs, strict=False)]
    return _beside(rows, ctxs, "Input/Target/Prediction", options)


@plot_top_losses.register
def plot_worst_targets(
    x: TensorImageBase,
    y: TensorMask | TensorPoint | TensorBBox | tuple,  # type: ignore[type-arg]  # see show_targets
    samples: Samples,
    outs: Samples,
    raws: Sequence[Any],
    losses: Sequence[float],
    **options: Unpack[ShowOptions],
) -> AxesList:
    """Draw target, prediction and loss of each picture (see `laminar.core.show.plot_top_losses`)."""
    axes = _beside(_with_predictions(samples, outs), None, "Target/Prediction/Loss", options)
    for ax, loss in zip(axes[1::2], losses, strict=False):
        ax.set_title(f"{float(loss):.2f}", fontsize=10)
    return axes


def _with_predictions(samples: Samples, outs: Samples) -> list[tuple[Any, ...]]:
    """For each sample two: itself, and its inputs with what was predicted."""
    pairs = zip(samples, outs, strict=False)
    return [(sample, (*sample[: len(sample) - len(out)], *out)) for sample, out in pairs]


def _beside(
    rows: Sequence[Sequence[Any]], ctxs: Sequence[Any] | None, title: str | None, options: ShowOptions
) -> AxesList:
    """Draw the members of each row side by side; several rows share a line where there is room."""
    shown = [part if type(part) is tuple else (part,) for row in rows for part in row]
    grid, drawing = divide_options(options)
    if ctxs is None and rows:
        lines = grid.get("nrows") or max(1, math.isqrt(len(rows)))
        columns = (grid.get("ncols") or -(-len(rows) // lines)) * len(rows[0])
        ctxs = get_grid(len(shown), None, columns, figsize=grid.get("figsize"), title=title)
    return AxesList(_draw(ax, parts, **drawing) for ax, parts in zip(ctxs or (), shown, strict=False))
