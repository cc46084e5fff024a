"""Grids leave room for what stands above each picture."""

from itertools import combinations

import pytest

from laminar.core.show import get_grid


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
