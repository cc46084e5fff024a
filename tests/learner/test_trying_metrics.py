"""Metrics that are computed at the end of an epoch are tried before the first one, without false alarms."""

import pytest
import torch
import torchmetrics.classification as tm
from sklearn import metrics as skm
from torch import nn

from laminar.core.errors import ConfigError
from laminar.metrics import (
    AccumMetric,
    APScoreMulti,
    CohenKappa,
    F1Score,
    PairMetric,
    PearsonCorrCoef,
    R2Score,
    RocAuc,
    SpearmanCorrCoef,
    skm_to_fastai,
    with_interval,
)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (skm_to_fastai(skm.f1_score), r"the metric f1_score fails on predictions .*Target is multiclass"),
        (skm_to_fastai(skm.roc_auc_score, is_class=False), "must hold as many numbers, unless flatten=False"),
        (F1Score(), "for two classes, and the predictions have 12"),
        (with_interval(F1Score()), "for two classes, and the predictions have 12"),
        (tm.MulticlassAccuracy(5), "the metric multiclassaccuracy fails on predictions"),
        (tm.MulticlassAccuracy(12, average=None), r"it gives Tensor \(12,\)"),
        (AccumMetric(lambda preds, targets: preds.no_such_method(), dim_argmax=1, name="m"), "no_such_method"),
    ],
)
def test_a_metric_that_would_fail_at_the_end_of_the_epoch_fails_before_it(toys, make_learner, metric, message) -> None:
    with pytest.raises(ConfigError, match=message):
        make_learner(dls=[toys.batches(64, 16, classes=12)] * 2, model=toys.net(12), metrics=metric)


class NeedsAllClasses(PairMetric):
    def reset(self):
        self.preds, self.targets = [], []

    def update(self, preds, targets):
        self.preds.append(preds)
        self.targets.append(targets)

    @property
    def value(self):
        targets = torch.cat(self.targets)
        if len(targets.unique()) < 12:
            raise ZeroDivisionError("a class has no items")
        return 1.0


@pytest.mark.parametrize(
    "metric",
    [
        NeedsAllClasses,
        RocAuc,
        RocAuc(multi_class="ovo"),
        CohenKappa,
        F1Score(average="macro"),
        with_interval(F1Score(average="macro")),
        skm_to_fastai(skm.roc_auc_score, is_class=False, activation="softmax", flatten=False, multi_class="ovr"),
        tm.MulticlassAUROC(12),
        F1Score(average="macro", sample_weight=[1.0] * 64),
    ],
)
def test_a_metric_that_needs_more_than_a_few_items_gives_no_alarm(toys, make_learner, metric) -> None:
    learn = make_learner(dls=[toys.batches(64, 16, classes=12)] * 2, model=toys.net(12), metrics=metric)
    learn.fit(0)
    learn._check_once()


@pytest.mark.parametrize(
    "metric", [R2Score, PearsonCorrCoef, SpearmanCorrCoef, skm_to_fastai(skm.r2_score, is_class=False)]
)
@pytest.mark.parametrize("shape", [(), (1,)])
def test_metrics_of_quantities_give_no_alarm(toys, make_learner, metric, shape) -> None:
    batches = [(torch.randn(1, 4), torch.randn(1, *shape)) for _ in range(3)]
    learn = make_learner(
        dls=[batches, batches],
        model=nn.Sequential(nn.Linear(4, 1), nn.Flatten(0 if not shape else 1)),
        loss_func=nn.MSELoss(),
        metrics=metric,
    )
    learn.fit(1)


def test_metrics_of_labels_give_no_alarm(make_learner) -> None:
    batches = [(torch.randn(2, 4), torch.zeros(2, 3)) for _ in range(3)]
    metrics = [
        APScoreMulti(),
        skm_to_fastai(skm.average_precision_score, is_class=False, flatten=False, average="macro"),
    ]
    make_learner(
        dls=[batches, batches], model=nn.Linear(4, 3), loss_func=nn.BCEWithLogitsLoss(), metrics=metrics
    )._check_once()
