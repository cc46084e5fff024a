"""The gradient noise scale."""

import pytest
import torch
from torch import nn

from laminar.callbacks import GradientAccumulation, GradientNoiseScale
from laminar.core.errors import ConfigError


class Point(nn.Module):
    """Predicts one point, whatever comes in: the gradient of half the squared distance is the distance."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(3))

    def forward(self, x):
        return self.place.expand(len(x), 3)


def half_square(pred, target):
    return (pred - target).square().sum(1).mean() / 2


def batches(n: int, bs: int) -> list:
    targets = torch.tensor([1.0, -1.0, 2.0]) + 2 * torch.randn(n, 3)
    return [(torch.zeros(len(part), 1), part) for part in targets.split(bs)]


def test_it_is_the_formula(make_learner) -> None:
    data = batches(40, 8)
    noise_scale = GradientNoiseScale(n_steps=5, beta=0)
    make_learner(Point(), dls=[data], loss_func=half_square, cbs=noise_scale).fit(1, 0.0)
    gradients = [-target.mean(0) for _, target in data]
    small = torch.stack([g.square().sum() for g in gradients]).mean()
    large = torch.stack(gradients).mean(0).square().sum()
    signal = (40 * large - 8 * small) / (40 - 8)
    noise = (small - large) / (1 / 8 - 1 / 40)
    assert noise_scale.values == pytest.approx([(noise / signal).item()], rel=1e-4)


@pytest.mark.parametrize("accumulate", [False, True])
def test_it_finds_the_noise_there_is(make_learner, accumulate) -> None:
    noise_scale = GradientNoiseScale(n_steps=10, beta=0.99)
    cbs = [noise_scale, *([GradientAccumulation(16)] if accumulate else [])]
    make_learner(Point(), dls=[batches(16 * 500, 8)], loss_func=half_square, cbs=cbs).fit(1, 0.0)
    assert noise_scale.noise_scale == pytest.approx(3 * 2**2 / (1 + 1 + 4), rel=0.2)  # variance over squared mean


def test_one_step_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"GradientNoiseScale\(n_steps=1\)"):
        GradientNoiseScale(1)
