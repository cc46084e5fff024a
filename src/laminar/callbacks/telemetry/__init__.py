"""What happens inside a model while it trains: statistics of layers, warnings, pictures."""

from laminar.callbacks.telemetry import statistics
from laminar.callbacks.telemetry.activation_stats import ActivationStats
from laminar.callbacks.telemetry.comparing import compare_telemetry
from laminar.callbacks.telemetry.hook_callback import HookCallback
from laminar.callbacks.telemetry.init_check import InitCheck, LayerStart, init_check
from laminar.callbacks.telemetry.layer_telemetry import LayerTelemetry
from laminar.callbacks.telemetry.layers import InGroup, LayerChoice
from laminar.callbacks.telemetry.measures import DEFAULT_STATISTICS, KINDS, Statistic
from laminar.callbacks.telemetry.record import Record, Series
from laminar.callbacks.telemetry.rules import (
    RULES,
    Finding,
    Rule,
    dead_layer,
    exploding_gradients,
    frozen_layer,
    in_no_group,
    input_not_normalised,
    learning_rate_past_the_cliff,
    nan_source,
    vanishing_gradients,
    warn_if,
)
from laminar.callbacks.telemetry.statistics import *  # noqa: F403  # handed on whole

__all__ = [
    "LayerTelemetry",
    "InGroup",
    "LayerChoice",
    "DEFAULT_STATISTICS",
    "KINDS",
    "Statistic",
    "Record",
    "Series",
    "RULES",
    "Finding",
    "Rule",
    "warn_if",
    "dead_layer",
    "exploding_gradients",
    "frozen_layer",
    "in_no_group",
    "input_not_normalised",
    "learning_rate_past_the_cliff",
    "nan_source",
    "vanishing_gradients",
    "InitCheck",
    "LayerStart",
    "init_check",
    "ActivationStats",
    "HookCallback",
    "compare_telemetry",
]
__all__ += statistics.__all__
