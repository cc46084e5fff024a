"""Layers that put others together."""

import pytest
import torch
from torch import Tensor, nn

from laminar.core.errors import ConfigError
from laminar.nn import (
    Cat,
    Embedding,
    MaxPool,
    MergeLayer,
    ResizeBatch,
    SequentialEx,
    SimpleCNN,
    TimeDistributed,
    View,
    sequential,
)


def test_cat_joins_outputs_along_a_dimension() -> None:
    x = torch.randn(2, 3)
    joined = Cat([nn.Identity(), nn.ReLU()], dim=0)(x)
    assert torch.equal(joined, torch.cat([x, x.relu()]))


@pytest.mark.parametrize("dense", [False, True])
def test_a_merge_layer_sees_what_went_into_the_sequence(dense: bool) -> None:
    x, conv = torch.randn(2, 3, 4, 4), nn.Conv2d(3, 3, 1)
    merged = SequentialEx(conv, nn.ReLU(), MergeLayer(dense=dense), nn.Tanh())(x)
    before = conv(x).relu()
    assert torch.allclose(merged, (torch.cat([before, x], 1) if dense else before + x).tanh())


def test_each_sequence_merges_with_its_own_input() -> None:
    inner = SequentialEx(nn.ReLU(), MergeLayer())
    x = torch.tensor([-1.0, 3.0])
    assert torch.equal(SequentialEx(inner, MergeLayer())(x), x.relu() + x + x)


def test_a_merge_layer_elsewhere_says_where_it_belongs() -> None:
    with pytest.raises(ConfigError, match="directly in a SequentialEx"):
        nn.Sequential(nn.ReLU(), MergeLayer())(torch.zeros(2))


def test_view_and_resize_batch_count_the_batch_or_leave_it() -> None:
    x = torch.arange(12.0).reshape(2, 6)
    assert torch.equal(sequential(View(4, 3), View(2, 6))(x), x)
    assert ResizeBatch(3, 2)(x).shape == (2, 3, 2)


@pytest.mark.parametrize("tdim", [1, 2])
def test_time_distributed_does_the_same_to_each_step_in_either_way(tdim: int) -> None:
    class Add(nn.Module):
        def forward(self, one: Tensor, other: Tensor) -> Tensor:
            return one + 2 * other

    one, other = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    for low_mem in (False, True):
        assert torch.allclose(TimeDistributed(Add(), low_mem, tdim)(one, other), one + 2 * other)
    linear = nn.Linear(4 if tdim == 1 else 3, 5)
    fast, slow = TimeDistributed(linear, tdim=tdim)(one), TimeDistributed(linear, True, tdim)(one)
    assert torch.allclose(fast, slow)
    assert fast.shape[tdim] == one.shape[tdim]


def test_an_embedding_starts_small() -> None:
    weight = Embedding(500, 20, std=0.1).weight
    assert weight.abs().max() <= 0.2
    assert 0.07 < weight.std() < 0.1


def test_a_simple_network_has_an_output_for_each_last_filter() -> None:
    model = SimpleCNN([1, 4, 8, 10], strides=[1, 2, 2])
    assert model(torch.zeros(2, 1, 12, 12)).shape == (2, 10)
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in model.modules()) == 2
    with pytest.raises(ConfigError, match="2 convolutions, got 1 kernel_szs and 2 strides"):
        SimpleCNN([1, 2, 3], kernel_szs=[3])


def test_max_pool_is_torchs_in_any_dimension() -> None:
    x = torch.randn(1, 2, 8)
    assert torch.equal(MaxPool(2, ndim=1)(x), nn.functional.max_pool1d(x, 2))
