"""Dropout in predictions, to see how sure a model is."""

from __future__ import annotations

from torch import nn

from laminar.callbacks.base import Callback

__all__ = ["MCDropoutCallback"]


class MCDropoutCallback(Callback):
    """Keeps dropout on in evaluations: ``learn.get_preds(cbs=MCDropoutCallback())`` several times gives predictions
    that differ by how sure the model is (Gal and Ghahramani, "Dropout as a Bayesian approximation", 2016).
    """

    def before_validate(self) -> None:
        """Turn dropout on; everything else stays as it is in evaluations."""
        for module in self.model.modules():
            if isinstance(module, nn.modules.dropout._DropoutNd):
                module.train()

    def after_validate(self) -> None:
        """Turn it off."""
        for module in self.model.modules():
            if isinstance(module, nn.modules.dropout._DropoutNd):
                module.eval()
