"""Drawing typed values on axes, and the open functions that draw batches, results and mistakes.

matplotlib is imported when something is first drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypedDict, Unpack

import numpy as np
import torch
from torch import Tensor

from laminar.core.dispatch import OpenFunction
from laminar.core.errors import check_keywords
from laminar.core.lazy import lazy_module

__all__ = [
    "GridOptions",
    "ShowOptions",
    "divide_options",
    "Samples",
    "draw_each",
    "get_grid",
    "subplots",
    "show_title",
    "show_image",
    "show_titled_image",
    "show_image_batch",
    "show_images",
    "show_points",
    "show_boxes",
    "show_parts",
    "show_batch",
    "show_results",
    "plot_top_losses",
]

plt = lazy_module("matplotlib.pyplot")
patches = lazy_module("matplotlib.patches")
patheffects = lazy_module("matplotlib.patheffects")


Samples: TypeAlias = Sequence[tuple[Any, ...]]
"""Decoded samples, or decoded predictions."""


class AxesList(list[Any]):
    """The axes that something was drawn on. Silent as the last line of a notebook's cell, where the picture speaks."""

    def _ipython_display_(self) -> None:
        """Called by IPython in place of printing the list."""


def subplots(
    nrows: int = 1,
    ncols: int = 1,
    figsize: tuple[float, float] | None = None,
    imsize: float = 3.0,
    suptitle: str | None = None,
) -> tuple[Any, Any]:
    """Make a figure and its axes, `imsize` inches for each unless `figsize` is given."""
    figure, axes = plt.subplots(nrows, ncols, figsize=figsize or (ncols * imsize, nrows * imsize))
    if suptitle is not None:
        figure.suptitle(suptitle)
    return figure, axes


def get_grid(
    n: int,
    nrows: int | None = None,
    ncols: int | None = None,
    figsize: tuple[float, float] | None = None,
    title: str | None = None,
    double: bool = False,
    lines: int = 1,
) -> AxesList:
    """Make axes for `n` things, in a grid as square as it gets; without ticks, the surplus switched off.

    Args:
        n: how many; with `double`, pairs side by side (twice as many axes).
        nrows: rows, found from `n` when None.
        ncols: columns, found from `n` when None.
        figsize: inches.
        title: over the whole figure.
        double: two axes for each thing.
        lines: of text above each thing, for which room is made.
    """
    if n == 0:
        return AxesList()
    if nrows is None:
        nrows = math.ceil(n / ncols) if ncols else max(1, math.floor(math.sqrt(n)))
    ncols = ncols or math.ceil(n / nrows)
    columns, count = (ncols * 2, n * 2) if double else (ncols, n)
    room = (columns * 3.0, nrows * (3.0 + 0.3 * (lines - 1)) + (0.3 if title else 0.0))
    figure, axes = subplots(nrows, columns, figsize=figsize or room, suptitle=title)
    _make_room(figure, nrows, lines, bool(title))
    flat = np.atleast_1d(np.asarray(axes, dtype=object)).flatten().tolist()
    for ax in flat[count:]:
        ax.set_axis_off()
    return AxesList(flat[:count])


def _make_room(figure: Any, nrows: int, lines: int, has_title: bool) -> None:
    """Keep the `lines` of text above each of the axes free of the row above and of the figure's title."""
    height, text = figure.get_size_inches()[1], 0.12 + 0.21 * lines  # inches
    top = text + (0.32 if has_title else 0.0)
    of_axes = (height * 0.89 - top - text * (nrows - 1)) / nrows
    if of_axes > text / 2:  # else the figure is too small for anything
        figure.subplots_adjust(top=1 - top / height, hspace=text / of_axes)


class GridOptions(TypedDict, total=False):
    """Keyword arguments of `get_grid` that whoever looks at something may give."""

    nrows: int | None
    ncols: int | None
    figsize: tuple[float, float] | None


class ShowOptions(GridOptions, total=False):
    """`GridOptions`, and how pictures and masks are drawn: keyword arguments of matplotlib's ``Axes.imshow``."""

    cmap: Any
    vmin: float
    vmax: float
    alpha: float
    interpolation: str


def divide_options(options: ShowOptions) -> tuple[GridOptions, dict[str, Any]]:
    """Those for `get_grid`, and those for pictures.

    Raises:
        TypeError: an unknown one, with the nearest known one.
    """
    check_keywords(options, ShowOptions, "showing")
    grid: Any = {name: value for name, value in options.items() if name in GridOptions.__annotations__}
    return grid, {name: value for name, value in options.items() if name not in grid}


def draw_each(
    draw: Callable[..., Any],
    *columns: Sequence[Any],
    ctxs: Sequence[Any] | None = None,
    title: str | None = None,
    lines: int = 1,
    **options: Unpack[ShowOptions],
) -> AxesList:
    """Draw things each on axes of its own: ``draw(ax, *row)`` for each row of `columns`, as many as the shortest has.

    Args:
        draw: returns the axes that it drew on; gets options for pictures by name, where some are given.
        *columns: sequences of samples, predictions and so on.
        ctxs: axes to draw on, made when None.
        title: over the whole figure, if it is made here.
        lines: of text above each thing, for which room is made.
        **options: see `ShowOptions`.
    """
    count = min(map(len, columns))
    grid, drawing = divide_options(options)
    axes = get_grid(count, title=title, lines=lines, **grid) if ctxs is None else ctxs
    return AxesList(draw(ax, *row, **drawing) for ax, *row in zip(axes, *columns, strict=False))


def show_title(
    o: object, ax: Any = None, ctx: Any = None, label: str | None = None, color: str = "black", **kwargs: Any
) -> Any:
    """Show `o` as the title of axes (under what is there), as cell `label` of a pandas row, or print it."""
    ax = ctx if ax is None else ax
    if hasattr(ax, "set_title"):
        above = ax.title.get_text()
        ax.set_title(f"{above}\n{o}" if above else str(o), color=color)
    elif hasattr(ax, "index") and hasattr(ax, "name"):  # a row of a data frame
        while label in ax:
            label = f"{label}_"
        ax = ax.copy()
        ax[label] = str(o)
    else:
        print(o)
    return ax


def _displayable(im: Any) -> np.ndarray[Any, Any]:
    """A picture as matplotlib wants it: ``[height, width]`` or ``[height, width, channels]``."""
    if isinstance(im, Tensor):
        im = im.detach().cpu()
        im = (im.float() if im.dtype in (torch.float16, torch.bfloat16) else im).numpy()
    array = np.asarray(im)
    if array.ndim == 3 and array.shape[0] < 5 and array.shape[0] < array.shape[-1]:
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 3 and np.issubdtype(array.dtype, np.floating):
        array = array.clip(0, 1)
    return array


def show_image(
    im: Any,
    ax: Any = None,
    figsize: tuple[float, float] | None = None,
    title: str | None = None,
    ctx: Any = None,
    **kwargs: Any,
) -> Any:
    """Draw a picture without axes.

    Args:
        im: ``[channels, height, width]``, ``[height, width, channels]`` or ``[height, width]``; tensor, array or PIL.
        ax: axes to draw on, made when None.
        figsize: inches, for axes made here.
        title: over the picture.
        ctx: the same as `ax`; the name under which typed values get it.
        **kwargs: for ``Axes.imshow``.
    """
    ax = ctx if ax is None else ax
    if ax is None:
        _, ax = plt.subplots(figsize=figsize)
    ax.imshow(_displayable(im), **kwargs)
    if title is not None:
        ax.set_title(title)
    ax.axis("off")
    return ax


def show_titled_image(o: tuple[Any, Any], **kwargs: Any) -> Any:
    """Draw the picture of a pair (picture, title)."""
    return show_image(o[0], title=str(o[1]), **kwargs)


def show_images(
    ims: Sequence[Any],
    nrows: int = 1,
    ncols: int | None = None,
    titles: Sequence[str] | None = None,
    figsize: tuple[float, float] | None = None,
    suptitle: str | None = None,
    **kwargs: Any,
) -> list[Any]:
    """Draw pictures in a row, or in a grid of `nrows` or `ncols`; more rows are made where these are too few."""
    axes = get_grid(
        len(ims), None if ncols and nrows * ncols < len(ims) else nrows, ncols, figsize=figsize, title=suptitle
    )
    for im, title, ax in zip(ims, titles or [""] * len(ims), axes, strict=False):
        show_image(im, ax=ax, title=title, **kwargs)
    return axes


def show_image_batch(b: Any, items: int = 9, cols: int = 3, figsize: tuple[float, float] | None = None) -> list[Any]:
    """Draw the pictures of a batch (pictures, targets) with their targets as titles."""
    pictures, targets, *_ = (*b, None) if isinstance(b, tuple | list) else (b, None)
    count = min(items, len(pictures))
    titles = [str(target) for target in targets[:count].tolist()] if isinstance(targets, Tensor) else targets
    return show_images(pictures[:count], ncols=min(cols, count), titles=titles, figsize=figsize)


def show_points(points: Tensor, ctx: Any = None, **kwargs: Any) -> Any:
    """Draw ``[n, 2]`` (x, y) pixels as dots."""
    ax = plt.subplots()[1] if ctx is None else ctx
    xy = torch.Tensor.numpy(points.detach().cpu().as_subclass(Tensor)).reshape(-1, 2)
    ax.scatter(xy[:, 0], xy[:, 1], **{"s": 30, "marker": ".", "c": "r", **kwargs})
    return ax


def show_boxes(boxes: Tensor, ctx: Any = None, labels: Sequence[str] | None = None, **kwargs: Any) -> Any:
    """Draw ``[n, 4]`` (x1, y1, x2, y2) pixels as outlines, with `labels` at their upper left corners."""
    ax = plt.subplots()[1] if ctx is None else ctx
    edged = [patheffects.withStroke(linewidth=3, foreground="black")]  # to be seen on any picture
    for number, (x1, y1, x2, y2) in enumerate(boxes.detach().cpu().as_subclass(Tensor).reshape(-1, 4).tolist()):
        style = {"fill": False, "edgecolor": "white", "linewidth": 1.5, "path_effects": edged, **kwargs}
        ax.add_patch(patches.Rectangle((x1, y1), x2 - x1, y2 - y1, **style))
        if labels is not None:
            name = ax.annotate(labels[number], (x1, y1), (3, -3), textcoords="offset points", va="top", color="white")
            name.set(fontsize=10, weight="bold", path_effects=edged, clip_on=True)
    return ax


def show_parts(sample: Sequence[Any], ctx: Any = None, **kwargs: Any) -> Any:
    """Let a decoded sample, or else each part of it in order, draw itself on the axes `ctx`.

    Args:
        sample: what shows itself, or a sequence of parts.
        ctx: the axes.
        **kwargs: for the sample, or for those of its parts that are pictures.
    """
    if hasattr(sample, "show"):
        return sample.show(ctx=ctx, **kwargs)
    for part in sample:
        if hasattr(part, "show"):
            ctx = part.show(ctx=ctx, **(kwargs if getattr(part, "is_picture", False) else {}))
        else:
            ctx = show_title(part, ctx=ctx)
    return ctx


show_batch = OpenFunction.public(
    "show_batch",
    """Draw a decoded batch: ``show_batch(x, y, samples, ctxs=None, max_n=9, nrows=None, ncols=None, figsize=None)``.

    Chosen by the types of the batch's input `x` and target `y`; `samples` are tuples of decoded parts.
    Returns the axes.
    """,
)
"""Draws a decoded batch; to be extended by ``@show_batch.register`` over a function annotated with types of yours."""
show_results = OpenFunction.public(
    "show_results",
    """Draw what a model made of a batch: ``show_results(x, y, samples, outs, ctxs=None, max_n=9, ...)``.

    `outs` are tuples of decoded predictions. Returns the axes.
    """,
)
"""Draws what a model made of a batch; to be extended as `show_batch`."""
plot_top_losses = OpenFunction.public(
    "plot_top_losses",
    """Draw the items a model is most wrong about: ``plot_top_losses(x, y, samples, outs, raws, losses, ...)``.

    `raws` are the predictions before decoding (probabilities), `losses` one number for each item. Returns the axes.
    """,
)
"""Draws the items that a model was most wrong about; to be extended as `show_batch`."""


def _draw_sample(ax: Any, sample: Sequence[Any], **drawing: Any) -> Any:
    return show_parts(sample, ctx=ax, **drawing)


@show_batch.register
def _show_any_batch(
    x: object,
    y: object,
    samples: Samples,
    ctxs: Sequence[Any] | None = None,
    max_n: int = 9,
    **options: Unpack[ShowOptions],
) -> AxesList:
    return draw_each(_draw_sample, samples[:max_n], ctxs=ctxs, **options)


@show_results.register
def _show_any_results(
    x: object,
    y: object,
    samples: Samples,
    outs: Samples,
    ctxs: Sequence[Any] | None = None,
    max_n: int = 9,
    **options: Unpack[ShowOptions],
) -> AxesList:
    def draw(ax: Any, sample: tuple[Any, ...], out: tuple[Any, ...], **drawing: Any) -> Any:
        return show_parts((*sample, *out), ctx=ax, **drawing)

    title, lines = ("Prediction", 1) if y is None else ("Target/Prediction", 2)
    return draw_each(draw, samples[:max_n], outs, ctxs=ctxs, title=title, lines=lines, **options)


@plot_top_losses.register
def _plot_any_top_losses(
    x: object,
    y: object,
    samples: Samples,
    outs: Samples,
    raws: Sequence[Any],
    losses: Sequence[float],
    **options: Unpack[ShowOptions],
) -> AxesList:
    def draw(ax: Any, sample: tuple[Any, ...], out: tuple[Any, ...], loss: float, **drawing: Any) -> Any:
        return show_title(f"{float(loss):.2f}", ctx=show_parts((*sample, *out), ctx=ax, **drawing))

    return draw_each(draw, samples, outs, losses, title="Target/Prediction/Loss", lines=3, **options)
