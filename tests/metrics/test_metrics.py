from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laminar.core.errors import ConfigError
from laminar.metrics import (
    AvgLoss,
    AvgMetric,
    AvgSmoothLoss,
    Metric,
    MetricSet,
    RootMeanSquaredError,
    ValueMetric,
    accuracy,
    accuracy_multi,
    error_rate,
    mae,
    mk_metric,
    mk_metrics,
    mse,
    rmse,
    smooth,
    top_k_accuracy,
)


def batch(pred, target, loss=0.0) -> SimpleNamespace:
    return SimpleNamespace(pred=pred, yb=(target,), xb=(pred,), loss=torch.tensor(loss))


def test_accuracy_counts_the_likeliest_class() -> None:
    preds = torch.tensor([[3.0, 1, 2], [1, 5, 2], [0, 1, 2]])
    targets = torch.tensor([0, 1, 1])
    assert accuracy(preds, targets).item() == pytest.approx(2 / 3)
    assert error_rate(preds, targets).item() == pytest.approx(1 / 3)
    assert top_k_accuracy(preds, targets, k=2).item() == 1
    assert top_k_accuracy(preds, targets, k=5).item() == 1


def test_accuracy_takes_masks_along_another_axis() -> None:
    preds, targets = torch.randn(2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
    assert accuracy(preds, targets, axis=1).item() == pytest.approx((preds.argmax(1) == targets).float().mean().item())
    assert 0 <= top_k_accuracy(preds, targets, k=2, axis=1).item() <= 1


def test_accuracy_refuses_other_counts() -> None:
    with pytest.raises(ConfigError, match=r"predictions \(4, 3\).*need 4 targets; there are 8, \(4, 2\)"):
        accuracy(torch.zeros(4, 3), torch.zeros(4, 2))


def test_multi_label_accuracy_thresholds_probabilities() -> None:
    raw, targets = torch.tensor([[2.0, -2.0], [0.1, -3.0]]), torch.tensor([[1, 0], [0, 0]])
    assert accuracy_multi(raw, targets).item() == 0.75
    assert accuracy_multi(raw.sigmoid(), targets, thresh=0.6, sigmoid=False).item() == 1.0


def test_regression_metrics_agree_with_numpy() -> None:
    preds, targets = torch.randn(7, 1), torch.randn(7)
    difference = preds[:, 0].numpy() - targets.numpy()
    assert mse(preds, targets).item() == pytest.approx((difference**2).mean(), rel=1e-5)
    assert mae(preds, targets).item() == pytest.approx(np.abs(difference).mean(), rel=1e-5)
    assert rmse(preds, targets).item() == pytest.approx((difference**2).mean() ** 0.5, rel=1e-5)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_averages_weigh_batches_by_their_items(sizes: list[int]) -> None:
    preds, targets = torch.randn(sum(sizes), 3), torch.randint(0, 3, (sum(sizes),))
    metric, root = AvgMetric(accuracy), RootMeanSquaredError()
    for part in torch.arange(sum(sizes)).split(sizes):
        metric.accumulate(batch(preds[part], targets[part]))
        root.accumulate(batch(preds[part, 0], targets[part].float()))
    assert float(metric.value) == pytest.approx(accuracy(preds, targets).item(), abs=1e-6)
    assert float(root.value) == pytest.approx(rmse(preds[:, 0], targets.float()).item(), rel=1e-5)


def test_metrics_of_nothing_have_no_value() -> None:
    assert AvgMetric(accuracy).value is None
    assert AvgLoss().value is None
    assert AvgSmoothLoss().value is None


def test_instances_are_copied_so_that_two_learners_share_nothing() -> None:
    first, second = mk_metric(rmse), mk_metric(rmse)
    first.accumulate(batch(torch.ones(2), torch.zeros(2)))
    assert second.value is None
    assert rmse.value is None
    assert float(first.value) == 1


def test_mk_metric_takes_functions_classes_and_partials() -> None:
    names = [m.name for m in mk_metrics([accuracy, AvgLoss, partial(top_k_accuracy, k=2), rmse, AvgMetric(mae)])]
    assert names == ["accuracy", "loss", "top_k_accuracy", "rmse", "mae"]
    assert mk_metrics(None) == []
    assert [m.name for m in mk_metrics(accuracy)] == ["accuracy"]
    with pytest.raises(ConfigError, match="str 'accuracy' is no metric"):
        mk_metrics(["accuracy"])


def test_equal_names_get_a_suffix() -> None:
    assert MetricSet(mk_metrics([accuracy, partial(accuracy, axis=1), accuracy])).names == [
        "accuracy",
        "accuracy_2",
        "accuracy_3",
    ]


def test_a_failing_metric_is_named_with_what_it_was_given() -> None:
    metrics = MetricSet(mk_metrics(accuracy))
    with pytest.raises(ConfigError) as caught:
        metrics.accumulate(batch(torch.zeros(4, 3), torch.zeros(4, 2)))
    assert any("metric accuracy: predictions Tensor (4, 3) float32" in note for note in caught.value.__notes__)


def test_value_metric_asks_a_function() -> None:
    metric = ValueMetric(lambda: 3.5, "answer")
    assert (metric.name, metric.value) == ("answer", 3.5)


def test_smoothing_is_debiased_and_can_go_on() -> None:
    assert smooth([2.0, 2.0, 2.0]) == pytest.approx([2.0, 2.0, 2.0])
    running = AvgSmoothLoss(0.9)
    for loss in (1.0, 2.0, 4.0):
        running.accumulate(batch(torch.zeros(1), torch.zeros(1), loss))
    assert float(running.value) == pytest.approx(smooth([1.0, 2.0, 4.0], 0.9)[-1])


def test_an_own_metric_overrides_three_things() -> None:
    class Count(Metric):
        def reset(self):
            self.n = 0

        def accumulate(self, learn):
            self.n += len(learn.pred)

        @property
        def value(self):
            return self.n

    metric = mk_metric(Count)
    metric.accumulate(batch(torch.zeros(3), torch.zeros(3)))
    assert (metric.name, metric.value) == ("count", 3)
