"""Looking at a trained learner: where it errs, and how badly."""

from laminar.interpret.base import Examples, Interpretation, TopLosses
from laminar.interpret.classification import ClassificationInterpretation, ClassReport, Confused

__all__ = [
    "ClassReport",
    "ClassificationInterpretation",
    "Confused",
    "Examples",
    "Interpretation",
    "TopLosses",
]
