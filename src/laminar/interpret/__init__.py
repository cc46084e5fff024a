"""Looking at a trained learner: where it errs, how badly, how sure it is, what it looks at."""

from laminar.interpret.attribution import Attribution
from laminar.interpret.base import Examples, Interpretation, TopLosses
from laminar.interpret.calibration import Calibration, TemperatureScaling, calibration_of, fit_temperature
from laminar.interpret.classification import ClassificationInterpretation
from laminar.interpret.confusion import ClassReport, Confused
from laminar.interpret.grad_cam import ClassMaps, grad_cam, grad_cam_maps
from laminar.interpret.occlusion import occlusion, occlusion_map
from laminar.interpret.segmentation import RegionReport, SegmentationInterpretation

__all__ = [
    "Attribution",
    "ClassMaps",
    "grad_cam",
    "grad_cam_maps",
    "occlusion",
    "occlusion_map",
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
