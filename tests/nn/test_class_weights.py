"""Weights for rare classes."""

import pytest
import torch

from laminar.core.errors import ConfigError
from laminar.nn import class_weights

TARGETS = torch.tensor([0] * 6 + [1] * 3 + [2])


def test_all_classes_together_count_alike_and_an_item_1_on_average() -> None:
    weights = class_weights(TARGETS)
    assert weights * TARGETS.bincount() == pytest.approx([10 / 3] * 3, rel=1e-6)
    assert weights[TARGETS].mean() == pytest.approx(1)


def test_effective_numbers_are_those_of_the_paper() -> None:
    weights = class_weights(TARGETS, beta=0.9)
    expected = torch.tensor([(1 - 0.9) / (1 - 0.9**n) for n in (6, 3, 1)])
    assert weights / weights[0] == pytest.approx(expected / expected[0], rel=1e-5)
    assert weights[TARGETS].mean() == pytest.approx(1)


def test_anything_that_gives_numbers_will_do() -> None:
    assert torch.equal(class_weights(iter(TARGETS)), class_weights(TARGETS.tolist()))


def test_a_class_without_items_is_named() -> None:
    with pytest.raises(ConfigError, match="no item has class 1, 3"):
        class_weights([0, 2], n_classes=4)
    with pytest.raises(ConfigError, match="there is a class 2, but n_classes is 2"):
        class_weights([0, 1, 2], n_classes=2)
    with pytest.raises(ConfigError, match="class indices from 0 upwards"):
        class_weights([-1, 0])
