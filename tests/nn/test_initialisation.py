"""Ways to start weights: what each promises of the signal, on networks of ours and of torchvision."""

import math

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from laminar.callbacks import init_check
from laminar.core.errors import ConfigError
from laminar.nn import CrossEntropyLossFlat, ResBlock, fixup_init, kaiming_init, lsuv_init, zero_last_norms


def deep(act: type[nn.Module], depth: int = 8, width: int = 128) -> nn.Sequential:
    layers = [layer for _ in range(depth) for layer in (nn.Linear(width, width), act())]
    return nn.Sequential(*layers, nn.Linear(width, 3))


@pytest.mark.parametrize("act", [nn.ReLU, nn.GELU, lambda: nn.LeakyReLU(0.3)], ids=["relu", "gelu", "leaky"])
def test_by_the_slope_of_activations_a_signal_keeps_its_size_through_many_layers(act) -> None:
    model = deep(act)
    names = kaiming_init(model)
    assert names == [str(i) for i in range(0, 17, 2)]
    found = init_check(model, torch.randn(256, 128))
    sizes = [math.hypot(row.mean, row.std) for row in found.rows if row.kind == "Linear"]
    assert all(0.4 < b / a < 2.5 for a, b in zip(sizes[:1] * 7, sizes[1:-1], strict=True))


def test_lsuv_gives_every_layer_outputs_of_variance_one_in_the_order_of_calls() -> None:
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.first = nn.Linear(16, 4), nn.Conv2d(1, 16, 3)
            self.bn, self.drop = nn.BatchNorm1d(16), nn.Dropout(0.5)

        def forward(self, x):
            return self.last(self.drop(torch.sin(self.bn(self.first(x).amax((2, 3))) * 3)))

    model, x = Backwards(), torch.randn(64, 1, 8, 8)
    reached = lsuv_init(model, x)
    assert list(reached) == ["first", "last"]
    assert all(abs(spread - 1) <= 0.02 for spread in reached.values())
    assert model.training
    assert model.bn.num_batches_tracked == 0
    model.eval()
    assert float(model(x).detach().std()) == pytest.approx(1, abs=0.03)


def test_weights_behind_a_parametrisation_are_scaled_through_it_or_refused() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 20)), nn.ReLU(), nn.Linear(20, 3))
    x = torch.randn(256, 6)
    assert all(abs(spread - 1) <= 0.02 for spread in lsuv_init(model, x).values())
    assert abs(float(model[0](x).detach().std()) - 1) <= 0.02
    with pytest.raises(ConfigError, match="weights of 0 are made by a parametrisation"):
        kaiming_init(model)


def test_lsuv_says_which_layer_cannot_be_scaled() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Threshold(100, 0), nn.Linear(4, 2, bias=False))
    with pytest.raises(ConfigError, match="the outputs of 2 have a standard deviation of 0"):
        lsuv_init(model, torch.randn(8, 4))


def test_blocks_with_silent_last_norms_begin_as_their_shortcuts() -> None:
    model = resnet18()
    names = zero_last_norms(model)
    assert names == [f"layer{i}.{j}.bn2" for i in (1, 2, 3, 4) for j in (0, 1)]
    block, x = model.layer1[1].eval(), torch.rand(2, 64, 4, 4)
    assert torch.allclose(block(x), x)
    with pytest.raises(ConfigError, match="no residual block"):
        zero_last_norms(nn.Linear(1, 1))


def test_fixup_starts_a_deep_network_without_norms_that_trains() -> None:
    torch.manual_seed(0)
    blocks = [ResBlock(1, 8, 8, norm_type=None) for _ in range(16)]
    model = nn.Sequential(nn.Conv2d(1, 8, 3), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    zeroed = fixup_init(model)
    assert zeroed == [*(f"{i}.convs.1.0" for i in range(1, 17)), "19"]
    inner = model[3].convs[0][0].weight
    assert float(inner.detach().std()) == pytest.approx(math.sqrt(2 / (8 * 9)) * 16**-0.5, rel=0.15)
    x = torch.randn(64, 1, 8, 8)
    x[32:] += 1
    y = torch.arange(64) // 32
    opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(12):
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
        opt.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[0] == pytest.approx(math.log(2))
    assert losses[-1] < 0.3
    with pytest.raises(ConfigError, match="has norm layers"):
        fixup_init(nn.Sequential(ResBlock(1, 8, 8)))


def test_the_check_shows_layers_before_training_and_leaves_the_model_as_found() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)).eval()
    state, random = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    batch = (torch.randn(32, 4), torch.randint(3, (32,), generator=torch.Generator().manual_seed(0)))
    random = torch.get_rng_state()
    found = init_check(model, batch, CrossEntropyLossFlat())
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert not model.training
    assert [p.grad for p in model.parameters()] == [None] * 6
    assert [(row.name, row.kind) for row in found.rows] == [("0", "Linear"), ("2", "ReLU"), ("4", "Linear")]
    with torch.no_grad():
        assert found.rows[0].std == pytest.approx(float(model[0](batch[0]).std(correction=0)), rel=1e-4)
    assert found.rows[0].gradient > 0
    assert found.rows[1].gradient is None
    assert "4 (Linear)" in str(found)
    assert f"loss {found.loss:.4g}" in str(found)
