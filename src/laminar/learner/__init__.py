"""`Learner`: the training loop and everything that is done with a model and its data."""

from laminar.core.lengths import Batches, Minutes
from laminar.learner.ensemble import ensemble
from laminar.learner.fitting import FineTuneOptions
from laminar.learner.learner import Learner, LearnerOptions
from laminar.learner.loading import load_learner
from laminar.learner.losses_for import loss_for, register_loss
from laminar.learner.lr_find import SuggestionMethod
from laminar.learner.plan import Plan, PlannedFit, PlannedGroup
from laminar.learner.program import program_model
from laminar.learner.resuming import Resume
from laminar.learner.saving import load_model, save_model
from laminar.learner.synthetic import RegModel, synth_dbunch, synth_learner

__all__ = [
    "RegModel",
    "synth_dbunch",
    "synth_learner",
    "Learner",
    "ensemble",
    "LearnerOptions",
    "FineTuneOptions",
    "Batches",
    "Minutes",
    "Resume",
    "Plan",
    "PlannedFit",
    "PlannedGroup",
    "SuggestionMethod",
    "loss_for",
    "register_loss",
    "save_model",
    "load_model",
    "load_learner",
    "program_model",
]
