import torch
from torch import nn

from laminar.nn import (
    AdaptiveAvgPool,
    AdaptiveConcatPool1d,
    AdaptiveConcatPool2d,
    BatchNorm1dFlat,
    Flatten,
    Identity,
    Lambda,
    LinBnDrop,
    PoolFlatten,
    SigmoidRange,
    adaptive_pool,
    sequential,
)


def test_concat_pool_gives_maximum_then_average() -> None:
    x = torch.randn(2, 3, 4, 5)
    pooled = AdaptiveConcatPool2d()(x).flatten(1)
    assert torch.allclose(pooled, torch.cat([x.amax((2, 3)), x.mean((2, 3))], 1))
    series = torch.randn(2, 3, 7)
    assert torch.allclose(AdaptiveConcatPool1d()(series)[..., 0], torch.cat([series.amax(2), series.mean(2)], 1))
    assert AdaptiveConcatPool2d(2)(x).shape == (2, 6, 2, 2)


def test_pools_end_flat() -> None:
    x = torch.randn(2, 3, 4, 5)
    assert PoolFlatten()(x).shape == (2, 3)
    assert PoolFlatten(concat_pool=True)(x).shape == (2, 6)
    assert AdaptiveAvgPool(2, ndim=1)(torch.randn(2, 3, 8)).shape == (2, 3, 2)
    assert adaptive_pool(True, ndim=1)(torch.randn(2, 3, 8)).shape == (2, 6, 1)
    assert Flatten()(x).shape == (2, 60)
    assert Flatten(full=True)(x).shape == (120,)


def test_linbndrop_orders_its_parts() -> None:
    kinds = [type(layer) for layer in LinBnDrop(4, 3, p=0.1, act=nn.ReLU())]
    assert kinds == [nn.BatchNorm1d, nn.Dropout, nn.Linear, nn.ReLU]
    first = LinBnDrop(4, 3, p=0.1, act=nn.ReLU(), lin_first=True)
    assert [type(layer) for layer in first] == [nn.Linear, nn.ReLU, nn.BatchNorm1d, nn.Dropout]
    assert first[0].bias is None
    assert LinBnDrop(4, 3, bn=False)[0].bias is not None
    assert first[2].num_features == 3


def test_sigmoid_range_keeps_within_its_bounds() -> None:
    out = SigmoidRange(-1, 3)(torch.tensor([-100.0, 0.0, 100.0]))
    assert torch.allclose(out, torch.tensor([-1.0, 1.0, 3.0]))
    assert repr(SigmoidRange(-1, 3)) == "SigmoidRange(low=-1, high=3)"


def test_functions_become_layers() -> None:
    model = sequential(nn.Linear(2, 3), torch.tanh, Identity())
    assert isinstance(model[1], Lambda)
    assert model(torch.zeros(1, 2)).shape == (1, 3)
    assert "tanh" in repr(model)


def test_flat_batch_norm_takes_sequences() -> None:
    norm = BatchNorm1dFlat(3)
    x = torch.randn(2, 5, 3)
    assert torch.allclose(norm(x).reshape(-1, 3).mean(0), torch.zeros(3), atol=1e-6)
    assert norm(x[:, 0]).shape == (2, 3)
