"""Metrics of torchmetrics are passed as they are."""

from types import SimpleNamespace

import pytest
import torch
import torchmetrics
import torchmetrics.classification as tm

from laminar.metrics import AvgMetric, F1Score, Metric, RocAuc, accuracy, mk_metric, mk_metrics


def batches() -> list[SimpleNamespace]:
    torch.manual_seed(0)
    logits, targets = torch.randn(75, 4), torch.randint(0, 4, (75,))
    return [
        SimpleNamespace(pred=pred, yb=(target,), xb=(pred,), loss=None)
        for pred, target in zip(logits.split(32), targets.split(32), strict=True)
    ]


def over_epoch(metric: Metric) -> float:
    metric.reset()
    for batch in batches():
        metric.accumulate(batch)
    return float(metric.value)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (tm.MulticlassAccuracy(4, average="micro"), AvgMetric(accuracy)),
        (tm.MulticlassF1Score(4, average="macro"), F1Score(average="macro")),
        (tm.MulticlassAUROC(4), RocAuc()),
    ],
)
def test_a_metric_of_torchmetrics_gives_what_ours_gives(theirs: torchmetrics.Metric, ours: Metric) -> None:
    metric = mk_metric(theirs)
    for _ in range(2):
        assert over_epoch(metric) == pytest.approx(over_epoch(ours), abs=1e-6)
    assert metric.name == type(theirs).__name__.lower()
    assert metric.smaller_is_better is False


def test_the_metric_given_stays_as_it_is() -> None:
    given = tm.MulticlassAccuracy(4)
    first, second = mk_metric(given), mk_metric(given)
    over_epoch(first)
    assert second.value is None
    assert not given.update_called


def test_a_collection_gives_a_column_for_each_member() -> None:
    together = torchmetrics.MetricCollection({"top": tm.MulticlassAccuracy(4), "f1": tm.MulticlassF1Score(4)})
    metrics = mk_metrics([accuracy, together])
    assert [metric.name for metric in metrics] == ["accuracy", "f1", "top"]
    assert [metric.name for metric in mk_metrics(together)] == ["f1", "top"]


def test_only_the_first_batch_has_its_values_checked_which_waits_for_the_device() -> None:
    metric = mk_metric(tm.MulticlassAUROC(4))
    first, second, _ = batches()
    metric.accumulate(first)
    second.yb = (torch.arange(len(second.yb[0])),)
    metric.accumulate(second)
    metric.reset()
    with pytest.raises(RuntimeError, match="Detected more unique values"):
        metric.accumulate(second)


def test_a_learner_takes_it(make_learner) -> None:
    learn = make_learner(metrics=[accuracy, tm.MulticlassAccuracy(2, average="micro")])
    learn.fit(1)
    _, ours, theirs = learn.validate()
    assert ours == pytest.approx(theirs)
