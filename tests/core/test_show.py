"""Grids leave room for what stands above each picture."""

from itertools import combinations

import pytest
import torch

from laminar.core.dispatch import OpenFunction
from laminar.core.show import get_grid, show_batch
from laminar.core.types import TensorImage, TensorMask, TensorPoint


@pytest.mark.parametrize("lines", [1, 3])
@pytest.mark.parametrize("title", [None, "Target/Prediction/Loss"])
@pytest.mark.parametrize("figsize", [None, (9, 5)])
def test_titles_in_a_grid_overlap_nothing(lines: int, title: str | None, figsize: tuple[float, float] | None) -> None:
    axes = get_grid(6, nrows=2, lines=lines, title=title, figsize=figsize)
    for ax in axes:
        ax.set_title("\n".join(["Ag"] * lines))
        ax.set(xticks=[], yticks=[])
    figure = axes[0].figure
    figure.canvas.draw()

    taken = [*(text.get_window_extent() for text in figure.texts), *(ax.get_tightbbox() for ax in axes)]
    assert not any(one.overlaps(other) for one, other in combinations(taken, 2))
    assert all(box.y1 <= figure.bbox.y1 for box in taken)


def test_options_for_pictures_reach_pictures_alone() -> None:
    sample = (
        TensorImage(torch.zeros(3, 4, 4)),
        TensorMask(torch.ones(4, 4, dtype=torch.uint8)),
        TensorPoint([[1.0, 2]]),
    )
    (ax,) = show_batch(sample[0], sample[1], [sample], vmin=1, vmax=30, figsize=(2, 2))
    assert [drawn.get_clim() for drawn in ax.images] == [(1, 30), (1, 30)]
    with pytest.raises(TypeError, match=r"'vmx'.*Did you mean 'vmax'"):
        show_batch(sample[0], sample[1], [sample], vmx=30)


def test_an_open_functions_default_is_reached_by_its_type() -> None:
    (ax,) = show_batch[object]("x", "y", [("a", "b")])
    assert ax.get_title() == "a\nb"
    with pytest.raises(TypeError, match=r"nothing for \(int, str\)"):
        OpenFunction("area", "")[int, str]
