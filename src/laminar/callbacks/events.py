"""The moments of training at which callbacks are asked, and the exceptions by which they skip ahead."""

from __future__ import annotations

__all__ = [
    "BATCH_EVENTS",
    "EVENTS",
    "CancelBackwardException",
    "CancelBatchException",
    "CancelEpochException",
    "CancelException",
    "CancelFitException",
    "CancelStepException",
    "CancelTrainException",
    "CancelValidException",
]

EVENTS = (
    "after_create",
    "before_fit",
    "before_epoch",
    "before_train",
    "before_batch",
    "after_pred",
    "after_loss",
    "before_backward",
    "after_cancel_backward",
    "after_backward",
    "before_step",
    "after_cancel_step",
    "after_step",
    "after_cancel_batch",
    "after_batch",
    "after_cancel_train",
    "after_train",
    "before_validate",
    "after_cancel_validate",
    "after_validate",
    "after_cancel_epoch",
    "after_epoch",
    "after_cancel_fit",
    "after_fit",
    "cleanup_fit",
)
"""All events, in the order in which they come."""

BATCH_EVENTS = frozenset(EVENTS[EVENTS.index("before_batch") : EVENTS.index("after_batch") + 1])
"""The events inside a batch: those that `run_train` and `run_valid` switch."""


class CancelException(Exception):
    """Base of the exceptions by which a callback skips a part of the training; none of them is an error."""


class CancelBackwardException(CancelException):
    """Skip the rest of the backward pass: go to ``after_cancel_backward``, ``after_backward``, then the step."""


class CancelStepException(CancelException):
    """Skip the optimiser's step: go to ``after_cancel_step``, ``after_step``; gradients are released."""


class CancelBatchException(CancelException):
    """Skip the rest of this batch: go to ``after_cancel_batch``, ``after_batch``; gradients stay."""


class CancelTrainException(CancelException):
    """Skip the rest of this epoch's training: go to ``after_cancel_train``, ``after_train``, then validation."""


class CancelValidException(CancelException):
    """Skip the rest of this validation: go to ``after_cancel_validate``, ``after_validate``."""


class CancelEpochException(CancelException):
    """Skip the rest of this epoch: go to ``after_cancel_epoch``, ``after_epoch``."""


class CancelFitException(CancelException):
    """End the training: go to ``after_cancel_fit``, ``after_fit``, ``cleanup_fit``."""
