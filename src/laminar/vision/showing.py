"""How pictures with their classes are drawn: right predictions in green, wrong ones in red."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from laminar.core.show import Samples, ShowOptions, draw_each, plot_top_losses, show_results
from laminar.core.types import TensorCategory, TensorImageBase, TensorMultiCategory

__all__ = ["plot_worst_classes", "plot_worst_labels", "show_class_results"]

_FITTING = 24  # letters of two classes that stand beside their numbers over a picture


@show_results.register
def show_class_results(
    x: TensorImageBase,
    y: TensorCategory,
    samples: Samples,
    outs: Samples,
    ctxs: Sequence[Any] | None = None,
    max_n: int = 9,
    **options: Unpack[ShowOptions],
) -> list[Any]:
    """Draw pictures with class and prediction (see `laminar.core.show.show_results`)."""

    def draw(ax: Any, sample: tuple[Any, ...], out: tuple[Any, ...], **drawing: Any) -> Any:
        right = str(sample[-1]) == str(out[0])
        return _titled(ax, sample[0], f"{sample[-1]}\n{out[0]}", drawing, color="green" if right else "red")

    return draw_each(draw, samples[:max_n], outs, ctxs=ctxs, title="Target/Prediction", lines=2, **options)


@plot_top_losses.register
def plot_worst_classes(
    x: TensorImageBase,
    y: TensorCategory,
    samples: Samples,
    outs: Samples,
    raws: Sequence[Any],
    losses: Sequence[float],
    **options: Unpack[ShowOptions],
) -> list[Any]:
    """Draw pictures with prediction, class, loss and probability (see `laminar.core.show.plot_top_losses`)."""
    longest = max((len(f"{out[0]}/{sample[-1]}") for sample, out in zip(samples, outs, strict=False)), default=0)
    between, above, lines = ("/", " / ", 1) if longest <= _FITTING else ("/\n", "\n", 3)

    def draw(ax: Any, sample: tuple[Any, ...], out: tuple[Any, ...], raw: Any, loss: float, **drawing: Any) -> Any:
        title = f"{out[0]}{between}{sample[-1]}{above}{loss:.2f} / {float(raw.max()):.2f}"
        return _titled(ax, sample[0], title, drawing, fontsize=10)

    heading = "Prediction/Actual/Loss/Probability"
    return draw_each(draw, samples, outs, raws, losses, title=heading, lines=lines, **options)


@plot_top_losses.register
def plot_worst_labels(
    x: TensorImageBase,
    y: TensorMultiCategory,
    samples: Samples,
    outs: Samples,
    raws: Sequence[Any],
    losses: Sequence[float],
    **options: Unpack[ShowOptions],
) -> list[Any]:
    """Draw pictures with predicted and true classes, and loss (see `laminar.core.show.plot_top_losses`)."""

    def draw(ax: Any, sample: tuple[Any, ...], out: tuple[Any, ...], loss: float, **drawing: Any) -> Any:
        return _titled(ax, sample[0], f"{out[0]}\n{sample[-1]}\n{loss:.2f}", drawing, fontsize=10)

    return draw_each(draw, samples, outs, losses, title="Prediction/Actual/Loss", lines=3, **options)


def _titled(ax: Any, picture: Any, title: str, drawing: dict[str, Any], **text: Any) -> Any:
    picture.show(ctx=ax, **drawing)
    ax.set_title(title, **text)
    return ax
