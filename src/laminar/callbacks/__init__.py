"""`Callback`, its events, and one technique in each file."""

from laminar.callbacks.accumulate import GradientAccumulation
from laminar.callbacks.base import Callback, LearnerState, before_batch_cb
from laminar.callbacks.channels_last import ChannelsLast
from laminar.callbacks.checkpoint import Checkpoint
from laminar.callbacks.checkpointing import ActivationCheckpointing
from laminar.callbacks.clip import AdaptiveGradientClip, GradientClip, GradientValueClip
from laminar.callbacks.compile import CompileModel
from laminar.callbacks.csv_logger import CSVLogger
from laminar.callbacks.divergence import StopOnDivergence
from laminar.callbacks.ema import EMA
from laminar.callbacks.events import (
    EVENTS,
    CancelBackwardException,
    CancelBatchException,
    CancelEpochException,
    CancelException,
    CancelFitException,
    CancelStepException,
    CancelTrainException,
    CancelValidException,
)
from laminar.callbacks.label_smoothing import LabelSmoothing
from laminar.callbacks.lr_finder import LRFinder, minimum, slide, steep, valley
from laminar.callbacks.manifold_mixup import ManifoldMixUp
from laminar.callbacks.mc_dropout import MCDropoutCallback
from laminar.callbacks.mixed_precision import AMPMode, MixedPrecision
from laminar.callbacks.mixup import CutMix, MixHandler, MixUp
from laminar.callbacks.model_output import ModelOutput
from laminar.callbacks.noise_scale import GradientNoiseScale
from laminar.callbacks.nonfinite import NonFiniteReport, TerminateOnNaNCallback
from laminar.callbacks.predictions import CollectDataCallback, FetchPredsCallback, GatherPredsCallback
from laminar.callbacks.profiler import ProfilerCallback
from laminar.callbacks.progress import ProgressCallback
from laminar.callbacks.recorder import Recorder
from laminar.callbacks.resizing import ProgressiveResizing
from laminar.callbacks.rnn import ModelResetter, RNNCallback, RNNRegularizer, rnn_cbs
from laminar.callbacks.sam import SAM
from laminar.callbacks.save_preds import SavePredsCallback
from laminar.callbacks.schedule import (
    ParamScheduler,
    SchedCos,
    SchedExp,
    SchedLin,
    SchedNo,
    SchedPoly,
    annealer,
    combine_scheds,
    combined_cos,
    sched_cos,
    sched_exp,
    sched_lin,
    sched_no,
    sched_poly,
    warmup,
)
from laminar.callbacks.short_epoch import ShortEpochCallback
from laminar.callbacks.show_graph import ShowGraphCallback
from laminar.callbacks.small_loss import SmallLossSelection
from laminar.callbacks.swa import SWA
from laminar.callbacks.telemetry import (
    ActivationStats,
    Finding,
    HookCallback,
    InGroup,
    LayerTelemetry,
    compare_telemetry,
    init_check,
    warn_if,
)
from laminar.callbacks.tensorboard import TensorBoardCallback
from laminar.callbacks.throughput import EpochSpeed, ThroughputMonitor
from laminar.callbacks.time_limit import TimeLimit
from laminar.callbacks.torch_scheduler import TorchScheduler
from laminar.callbacks.tracker import (
    EarlyStoppingCallback,
    ReduceLROnPlateau,
    SaveModelCallback,
    TrackerCallback,
)
from laminar.callbacks.unfreezing import GradualUnfreezing
from laminar.callbacks.verbose import VerboseCallback
from laminar.callbacks.wandb import WandbCallback

__all__ = [
    "LayerTelemetry",
    "init_check",
    "ActivationStats",
    "HookCallback",
    "compare_telemetry",
    "InGroup",
    "Finding",
    "warn_if",
    "Checkpoint",
    "VerboseCallback",
    "Callback",
    "LearnerState",
    "before_batch_cb",
    "EVENTS",
    "CancelException",
    "CancelBackwardException",
    "CancelStepException",
    "CancelBatchException",
    "CancelTrainException",
    "CancelValidException",
    "CancelEpochException",
    "CancelFitException",
    "Recorder",
    "ProgressCallback",
    "CSVLogger",
    "ShowGraphCallback",
    "TensorBoardCallback",
    "WandbCallback",
    "ParamScheduler",
    "annealer",
    "SchedLin",
    "SchedCos",
    "SchedNo",
    "SchedExp",
    "SchedPoly",
    "combine_scheds",
    "combined_cos",
    "sched_lin",
    "sched_cos",
    "sched_no",
    "sched_exp",
    "sched_poly",
    "warmup",
    "TorchScheduler",
    "LRFinder",
    "valley",
    "slide",
    "minimum",
    "steep",
    "GatherPredsCallback",
    "SavePredsCallback",
    "FetchPredsCallback",
    "CollectDataCallback",
    "ProgressiveResizing",
    "GradualUnfreezing",
    "ShortEpochCallback",
    "TimeLimit",
    "StopOnDivergence",
    "CompileModel",
    "ActivationCheckpointing",
    "ProfilerCallback",
    "ThroughputMonitor",
    "EpochSpeed",
    "ModelResetter",
    "RNNCallback",
    "RNNRegularizer",
    "rnn_cbs",
    "MCDropoutCallback",
    "MixedPrecision",
    "EMA",
    "SWA",
    "SAM",
    "MixHandler",
    "MixUp",
    "CutMix",
    "ManifoldMixUp",
    "LabelSmoothing",
    "SmallLossSelection",
    "AMPMode",
    "ChannelsLast",
    "GradientAccumulation",
    "GradientClip",
    "GradientValueClip",
    "AdaptiveGradientClip",
    "GradientNoiseScale",
    "TrackerCallback",
    "EarlyStoppingCallback",
    "SaveModelCallback",
    "ReduceLROnPlateau",
    "ModelOutput",
    "NonFiniteReport",
    "TerminateOnNaNCallback",
]
