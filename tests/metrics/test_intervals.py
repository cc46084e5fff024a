"""Intervals hold the true value as often as they say, and look as they should."""

import copy
import math
from functools import partial

import pytest
import torch
from torch import Tensor

from laminar.callbacks import CSVLogger
from laminar.callbacks.progress import RowPrinter
from laminar.core.errors import ConfigError
from laminar.metrics import (
    AvgLoss,
    Estimate,
    F1Score,
    PearsonCorrCoef,
    accuracy,
    compare,
    estimate,
    foreground_acc,
    mae,
    rmse,
    top_k_accuracy,
    with_interval,
)
from laminar.metrics.intervals import t_quantile


def answers(n: int, right: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Scores of two classes that are right with a given probability, and classes."""
    targets = (torch.rand(n, generator=generator) < 0.4).long()
    said = torch.where(torch.rand(n, generator=generator) < right, targets, 1 - targets)
    return torch.nn.functional.one_hot(said, 2).float(), targets


@pytest.mark.parametrize(("n", "lowest"), [(1024, 0.9), (100, 0.8), (40, 0.3)])
def test_intervals_of_accuracy_hold_the_truth_19_times_in_20(n: int, lowest: float) -> None:
    generator = torch.Generator().manual_seed(0)
    held = 0
    for right in torch.linspace(lowest, 0.99, 1000).tolist():
        found = estimate(accuracy, *answers(n, right, generator))
        held += found.low <= right <= found.high
    assert 930 <= held <= 970


def test_intervals_of_means_of_quantities_hold_the_truth_19_times_in_20() -> None:
    generator = torch.Generator().manual_seed(1)
    held = 0
    for _ in range(1000):
        found = estimate(mae, torch.rand(30, generator=generator), torch.zeros(30))
        held += found.low <= 0.5 <= found.high
    assert 930 <= held <= 970


def test_intervals_from_leaving_out_groups_hold_the_truth_19_times_in_20() -> None:
    generator = torch.Generator().manual_seed(2)
    right = 0.85
    f1 = 2 * 0.4 * right / (0.4 + 0.4 * right + 0.6 * (1 - right))
    held_f1 = held_rmse = held_r = 0
    times = 120
    for _ in range(times):
        found = estimate(F1Score(), *answers(300, right, generator))
        held_f1 += found.low <= f1 <= found.high
        noise, x = torch.randn(2, 200, generator=generator)
        found = estimate(rmse, noise, torch.zeros(200))
        held_rmse += found.low <= 1 <= found.high
        found = estimate(PearsonCorrCoef(), x + noise, x)
        held_r += found.low <= math.sqrt(0.5) <= found.high
    for held in (held_f1, held_rmse, held_r):
        assert 0.91 * times <= held <= 0.985 * times


def test_intervals_are_shown_with_the_number_of_items() -> None:
    assert str(Estimate(0.923, 0.915, 0.931, 1024)) == "0.923 ±0.008 (n=1024)"
    assert str(Estimate(1.0, 0.963, 1.0, 100)) == "1.000 [0.963, 1.000] (n=100)"
    found = Estimate(0.5, 0.4, 0.6, 10, 0.9)
    assert found + 1 == 1.5
    assert f"{found:.2f}" == "0.50"
    copied = copy.deepcopy(found)
    assert (copied, copied.low, copied.high, copied.n, copied.level) == (0.5, 0.4, 0.6, 10, 0.9)


def test_functions_of_others_are_asked_item_by_item() -> None:
    def share_right(preds: Tensor, targets: Tensor) -> Tensor:
        return (preds.argmax(1) == targets).float().mean()

    generator = torch.Generator().manual_seed(0)
    preds, targets = answers(50, 0.8, generator)
    theirs, ours = estimate(share_right, preds, targets), estimate(accuracy, preds, targets)
    assert (theirs, theirs.low, theirs.high) == (ours, ours.low, ours.high)
    masks = torch.randn(20, 3, 4, 4), torch.randint(0, 3, (20, 4, 4))
    by_picture = estimate(partial(accuracy, axis=1), *masks)
    assert by_picture.n == 20  # pixels of one picture are no independent items
    assert float(by_picture) == pytest.approx(accuracy(*masks, axis=1).item())
    quotient = estimate(partial(foreground_acc, bkg_idx=2), *masks)
    assert float(quotient) == pytest.approx(foreground_acc(*masks, bkg_idx=2).item())
    assert estimate(partial(top_k_accuracy, k=2), preds, targets) == 1


def test_what_has_no_interval_says_so() -> None:
    with pytest.raises(ConfigError, match="loss needs more than predictions and targets"):
        with_interval(AvgLoss)
    with pytest.raises(ConfigError, match=r"level must be between 0 and 1, got 95"):
        estimate(accuracy, torch.zeros(2, 2), torch.zeros(2), level=95)
    assert estimate(PearsonCorrCoef(), torch.zeros(5), torch.rand(5)) is None
    alone = estimate(mae, torch.rand(1), torch.rand(1))
    assert (alone.low, alone.high) == (-math.inf, math.inf)


@pytest.mark.parametrize(("freedom", "expected"), [(1, 12.706), (2, 4.303), (7.5, 2.334), (30, 2.042), (1e9, 1.960)])
def test_quantiles_of_students_t_are_those_of_the_tables(freedom: float, expected: float) -> None:
    assert t_quantile(0.95, freedom) == pytest.approx(expected, abs=2e-3)


def test_a_learner_shows_the_interval_and_can_still_compare(make_learner, capsys) -> None:
    learn = make_learner(metrics=[with_interval(accuracy), with_interval(F1Score(average="macro"))], cbs=CSVLogger())
    learn.logger = RowPrinter()
    learn.fit(2)
    assert learn.recorder.metric_names[3:5] == ["accuracy", "f1_score"]
    value = learn.recorder.values[-1][2]
    assert isinstance(value, Estimate)
    assert str(value) in capsys.readouterr().out
    assert value.n == len(torch.cat([y for _, y in learn.dls[1]]))
    assert float(learn.validate()[1]) == float(value)
    assert learn.csv_logger.read_log()["accuracy"].iloc[-1] == float(value)


def test_equal_models_are_told_apart_at_most_6_times_in_100() -> None:
    generator = torch.Generator().manual_seed(3)
    alarms = 0
    for _ in range(1000):
        targets = torch.randint(0, 2, (250,), generator=generator)
        hard = torch.rand(250, generator=generator)
        runs = []
        for _ in range(2):
            right = torch.rand(250, generator=generator) < torch.where(hard < 0.8, 0.98, 0.6)
            said = torch.where(right, targets, 1 - targets)
            runs.append((torch.nn.functional.one_hot(said, 2).float(), targets))
        alarms += compare(*runs).distinguishable
    assert 10 <= alarms <= 60


def test_better_models_are_told_apart_with_fewer_items_than_unpaired() -> None:
    generator = torch.Generator().manual_seed(4)
    targets = torch.randint(0, 2, (1000,), generator=generator)
    right_a = torch.rand(1000, generator=generator) < 0.9
    right_b = right_a | (torch.rand(1000, generator=generator) < 0.15)
    run_a, run_b = (
        (torch.nn.functional.one_hot(torch.where(right, targets, 1 - targets), 2).float(), targets)
        for right in (right_a, right_b)
    )
    found = compare(run_a, run_b)
    assert found.distinguishable
    assert found.low < found.difference < found.high
    alone = [estimate(accuracy, *run) for run in (run_a, run_b)]
    assert alone[0].high > alone[1].low  # their own intervals overlap
    assert str(found).endswith(": distinguishable")


def test_a_difference_too_small_says_how_many_items_it_needs() -> None:
    targets = torch.zeros(400).long()
    wrong = torch.zeros(2, 400).long()
    wrong[0, :12] = 1
    wrong[1, 4:14] = 1
    found = compare(*((torch.nn.functional.one_hot(said, 2).float(), targets) for said in wrong))
    assert not found.distinguishable
    assert found.needed > 400
    assert f"not distinguishable; about {found.needed} items needed" in str(found)
    same = compare((torch.eye(2), torch.arange(2)), (torch.eye(2), torch.arange(2)))
    assert (same.difference, same.needed, same.distinguishable) == (0, None, False)


def test_quantities_and_metrics_of_whole_sets_are_compared_item_by_item() -> None:
    generator = torch.Generator().manual_seed(5)
    targets = torch.randn(300, generator=generator)
    near, far = (targets + s * torch.randn(300, generator=generator) for s in (0.3, 0.6))
    for metric, sign in ((mae, 1), (rmse, 1), (PearsonCorrCoef(), -1)):
        found = compare((near, targets), (far, targets), metric)
        assert found.distinguishable
        assert found.difference * sign > 0


def test_several_seeds_widen_the_interval_by_how_much_they_differ() -> None:
    generator = torch.Generator().manual_seed(6)
    targets = torch.randn(500, generator=generator)

    def runs(*offsets: float) -> list[tuple[Tensor, Tensor]]:
        return [(targets + o + 0.1 * torch.randn(500, generator=generator), targets) for o in offsets]

    alike = compare(runs(0.3, 0.3, 0.3), runs(0.5, 0.5, 0.5), mae)
    apart = compare(runs(0.1, 0.3, 0.5), runs(0.3, 0.5, 0.7), mae)
    assert alike.distinguishable
    assert not apart.distinguishable
    assert apart.difference == pytest.approx(alike.difference, abs=0.05)


def test_runs_of_other_items_are_refused() -> None:
    preds, targets = torch.randn(6, 2), torch.randint(0, 2, (6,))
    with pytest.raises(ConfigError, match="not of the same items in the same order"):
        compare((preds, targets), (preds, 1 - targets))
    with pytest.raises(ConfigError, match="run_b must be predictions and targets"):
        compare((preds, targets), preds)
    with pytest.raises(ConfigError, match="run_a is empty"):
        compare([], (preds, targets))


def test_learners_are_compared_on_their_validation_set(make_learner) -> None:
    first, second = make_learner(), make_learner()
    second.fit(3, 0.1)
    found = compare(first, second)
    by_hand = compare(first.get_preds(), second.get_preds())
    assert (found.a, found.b) == (by_hand.a, by_hand.b)
    assert found.n == len(first.get_preds()[1])
