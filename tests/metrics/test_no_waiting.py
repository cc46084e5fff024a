"""No metric reads a value from the device while batches go by: that would make each batch wait for the one before."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import laminar.metrics as m

READING = {"_local_scalar_dense", "nonzero", "masked_select", "bincount", "_unique2", "equal", "is_nonzero"}


class Forbidden(TorchDispatchMode):
    """Refuses operations whose result has to be known to go on."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.__name__.split(".")[0]
        by_mask = name == "index" and any(i is not None and i.dtype is torch.bool for i in args[1])
        if name in READING or by_mask:
            raise AssertionError(f"{name} waits for the device")
        return func(*args, **(kwargs or {}))


def classes() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(12, 2), torch.randint(0, 2, (12,))


def labels() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(12, 3), torch.randint(0, 2, (12, 3)).float()


def masks() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(3, 2, 4, 4), torch.randint(0, 2, (3, 4, 4))


def quantities() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.rand(12), torch.rand(12)


def texts() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(2, 6, 9), torch.randint(0, 9, (2, 6))


METRICS = {
    classes: [
        *(m.accuracy, m.error_rate, partial(m.top_k_accuracy, k=1), m.F1Score, m.FBeta(2.0), m.Precision, m.Recall),
        *(m.Jaccard(average="macro"), m.BalancedAccuracy, m.CohenKappa, m.MatthewsCorrCoef, m.HammingLoss, m.RocAuc),
        *(m.RocAucBinary, m.APScoreBinary, m.BrierScore, m.AvgLoss, m.AvgSmoothLoss, m.perplexity),
        *(m.with_interval(m.accuracy), m.AccumMetric(max, dim_argmax=-1)),
        *(kind(sample_weight=range(24)) for kind in (m.F1Score, m.RocAuc, m.BrierScore, m.HammingLoss)),
    ],
    labels: [
        *(m.accuracy_multi, m.F1ScoreMulti, m.FBetaMulti(2.0), m.PrecisionMulti, m.RecallMulti(average="samples")),
        *(m.JaccardMulti(labels=[0, 2]), m.MatthewsCorrCoefMulti, m.HammingLossMulti, m.RocAucMulti, m.APScoreMulti),
        *(m.BrierScoreMulti, m.AccumMetric(max, thresh=0.5, activation="sigmoid")),
    ],
    masks: [m.foreground_acc, m.Dice, m.DiceMulti, m.JaccardCoeff, m.JaccardCoeffMulti, partial(m.accuracy, axis=1)],
    quantities: [
        *(m.mse, m.mae, m.msle, m.rmse, m.exp_rmspe, m.R2Score, m.ExplainedVariance, m.PearsonCorrCoef),
        m.SpearmanCorrCoef,
    ],
    texts: [m.CorpusBLEUMetric],
}


@pytest.mark.parametrize("data", METRICS)
def test_no_metric_waits_for_the_device(data: Any) -> None:
    for metric in m.mk_metrics(METRICS[data]):
        for _ in range(2):
            preds, targets = data()
            batch = SimpleNamespace(pred=preds, yb=(targets,), xb=(preds,), loss=torch.ones(()))
            with Forbidden():
                metric.accumulate(batch)


def test_waiting_would_be_seen() -> None:
    metric = m.AvgMetric(lambda preds, targets: (preds.argmax(1) == targets).float().mean().item())
    preds, targets = classes()
    with pytest.raises(AssertionError, match="_local_scalar_dense waits for the device"), Forbidden():
        metric.accumulate(SimpleNamespace(pred=preds, yb=(targets,), xb=(preds,), loss=None))
