"""Metrics: functions of predictions and targets, and classes that accumulate over an epoch."""

from laminar.metrics.base import (
    AvgLoss,
    AvgMetric,
    AvgSmoothLoss,
    BatchState,
    Metric,
    MetricSet,
    MovingAverage,
    PairMetric,
    ValueMetric,
    mk_metric,
    mk_metrics,
    smaller_is_better,
    smooth,
)
from laminar.metrics.classification import accuracy, accuracy_multi, error_rate, top_k_accuracy
from laminar.metrics.regression import RootMeanSquaredError, mae, mse, rmse

__all__ = [
    "accuracy",
    "error_rate",
    "top_k_accuracy",
    "accuracy_multi",
    "mse",
    "rmse",
    "mae",
    "RootMeanSquaredError",
    "Metric",
    "PairMetric",
    "AvgMetric",
    "AvgLoss",
    "AvgSmoothLoss",
    "ValueMetric",
    "MetricSet",
    "BatchState",
    "mk_metric",
    "mk_metrics",
    "smaller_is_better",
    "MovingAverage",
    "smooth",
]
