"""`learn.check()`: the whole contract between data, model, loss, optimiser and metrics, before the first epoch."""

from laminar.learner.checkup.report import CheckUp, Remark
from laminar.learner.checkup.running import check_up

__all__ = ["CheckUp", "Remark", "check_up"]
