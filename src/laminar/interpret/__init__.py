"""Looking at a trained learner: where it errs, how badly, how sure it is."""

from laminar.interpret.base import Examples, Interpretation, TopLosses
from laminar.interpret.calibration import Calibration, TemperatureScaling, calibration_of, fit_temperature
from laminar.interpret.classification import ClassificationInterpretation
from laminar.interpret.confusion import ClassReport, Confused
from laminar.interpret.segmentation import RegionReport, SegmentationInterpretation

__all__ = [
    "Calibration",
    "ClassReport",
    "ClassificationInterpretation",
    "Confused",
    "Examples",
    "Interpretation",
    "RegionReport",
    "SegmentationInterpretation",
    "TemperatureScaling",
    "TopLosses",
    "calibration_of",
    "fit_temperature",
]
