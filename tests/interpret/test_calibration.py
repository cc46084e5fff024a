"""Probabilities that hold: measuring, drawing and mending."""

import math

import pytest
import torch
from torch import Tensor, nn

from laminar.core.errors import ConfigError
from laminar.data.loaders import DataLoaders
from laminar.interpret import (
    ClassificationInterpretation,
    TemperatureScaling,
    calibration_of,
    fit_temperature,
)
from laminar.learner.learner import Learner
from laminar.nn.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat


def honest_outputs(n: int = 4000, classes: int = 4) -> tuple[Tensor, Tensor]:
    """Raw outputs, and targets drawn by the very probabilities that they stand for."""
    torch.manual_seed(3)
    raw = torch.randn(n, classes) * 1.5
    return raw, torch.multinomial(raw.softmax(1), 1)[:, 0]


@pytest.mark.parametrize("hot", [0.4, 1.0, 3.0, 20.0])
def test_the_temperature_that_spoilt_honest_outputs_is_found(hot: float) -> None:
    raw, targets = honest_outputs()
    found = fit_temperature(raw * hot, targets).temperature
    assert found == pytest.approx(hot, rel=0.08)
    nll = [
        nn.functional.cross_entropy(raw * hot / temperature, targets).item()
        for temperature in (found * 0.98, found, found * 1.02)
    ]
    assert nll[1] == min(nll)


def test_targets_of_no_class_do_not_count() -> None:
    raw, targets = honest_outputs()
    spoilt = targets.clone()
    spoilt[::7] = -100
    kept = spoilt >= 0
    expected = fit_temperature(raw[kept], targets[kept]).temperature
    assert fit_temperature(raw, spoilt).temperature == pytest.approx(expected)


def test_a_model_without_mistakes_has_no_temperature() -> None:
    with pytest.raises(ConfigError, match="right about all of these 2 items"):
        fit_temperature(torch.eye(2), torch.tensor([0, 1]))


def test_calibration_compares_probabilities_with_what_is_right() -> None:
    found = calibration_of(
        torch.tensor([0.5, 0.5, 0.9, 0.9, 1.0]), torch.tensor([True, False, True, True, False]), n_bins=5
    )
    assert found.counts.tolist() == [0, 0, 2, 0, 3]
    assert found.accuracies[[2, 4]].tolist() == pytest.approx([0.5, 2 / 3])
    assert found.error == pytest.approx(3 / 5 * (2.8 / 3 - 2 / 3))
    assert found.worst == pytest.approx(2.8 / 3 - 2 / 3)
    assert math.isnan(found.accuracies[0])
    with pytest.raises(ConfigError, match="no probabilities: they go from -1 to 3"):
        calibration_of(torch.tensor([-1.0, 3.0]), torch.tensor([True, False]))


def test_honest_outputs_lie_on_the_line() -> None:
    raw, targets = honest_outputs()
    for hot, low, high in ((1.0, 0.0, 0.03), (4.0, 0.1, 1.0)):
        sure, decided = (raw * hot).softmax(1).max(1)
        assert low <= calibration_of(sure, decided == targets).error < high


@pytest.fixture
def learn() -> Learner:
    """A linear model that is four times too sure."""
    raw, targets = honest_outputs(600)
    batches = list(zip(raw.split(100), targets.split(100), strict=True))
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.1))
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(4) * 4)
        model[0].bias.zero_()
    return Learner(DataLoaders(batches, batches, device="cpu"), model, CrossEntropyLossFlat(), default_cbs=False)


def test_a_temperature_makes_probabilities_hold_and_leaves_decisions(learn: Learner) -> None:
    before = ClassificationInterpretation.from_learner(learn)
    scaling = before.fit_temperature()
    assert scaling.temperature == pytest.approx(4, rel=0.2)
    after = ClassificationInterpretation.from_learner(learn, act=scaling)
    assert after.calibration().error < 0.08 < before.calibration().error
    assert torch.equal(after.decoded, before.decoded)
    ax = after.plot_calibration(n_bins=10)
    assert ax.get_title() == f"Expected calibration error {after.calibration(10).error:.3f}"
    assert after.fit_temperature().temperature == pytest.approx(scaling.temperature)


def test_a_temperature_is_put_into_the_last_layer(learn: Learner) -> None:
    scaling = ClassificationInterpretation.from_learner(learn).fit_temperature()
    expected = learn.get_preds(act=scaling)[0]
    scaling.into(learn)
    torch.testing.assert_close(learn.get_preds()[0], expected, rtol=1e-4, atol=1e-5)
    assert ClassificationInterpretation.from_learner(learn).fit_temperature().temperature == pytest.approx(1, rel=1e-3)


def test_a_model_that_does_not_end_with_a_linear_layer_stays_as_it_is(learn: Learner) -> None:
    learn.model = nn.Sequential(nn.Linear(4, 4), nn.Sigmoid())
    before = {name: value.clone() for name, value in learn.model.state_dict().items()}
    with pytest.raises(ConfigError, match=r"not in proportion to the weights of its last layer, Sigmoid.*act="):
        TemperatureScaling(2.0).into(learn)

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.last(x)

    learn.model = Residual()
    before = {name: value.clone() for name, value in learn.model.state_dict().items()}
    with pytest.raises(ConfigError, match=r"Residual are not in proportion"):
        TemperatureScaling(2.0).into(learn)
    assert all(torch.equal(value, before[name]) for name, value in learn.model.state_dict().items())


def test_other_losses_have_no_temperature() -> None:
    x, y = torch.randn(4, 3), torch.eye(4, 3)
    learn = Learner(
        DataLoaders([(x, y)], [(x, y)], device="cpu"), nn.Identity(), BCEWithLogitsLossFlat(), default_cbs=False
    )
    with pytest.raises(ConfigError, match="one class for each item"):
        ClassificationInterpretation.from_learner(learn).fit_temperature()
    with pytest.raises(ConfigError, match="temperature=0, but"):
        TemperatureScaling(0)
