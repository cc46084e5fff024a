"""Letting a network's layer groups train one after the other."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from laminar.callbacks.base import Callback
from laminar.core.errors import ConfigError
from laminar.optim.groups import n_layer_groups

__all__ = ["GradualUnfreezing"]


class GradualUnfreezing(Callback):
    """Trains the last layer group alone first and lets one more train every so many epochs (Howard and Ruder,
    "Universal language model fine-tuning for text classification", 2018).

    Norm layers behave as they do under ``learn.freeze_to``. What was frozen before the fit is so again afterwards.

    Args:
        epochs: epochs from one group to the next; or for chosen epochs what ``freeze_to`` gets, such as
            ``{0: -1, 2: -2, 3: 0}``.

    Raises:
        ConfigError: no whole number of epochs.
    """

    passes = ("fit",)

    def __init__(self, epochs: int | Mapping[int, int] = 1) -> None:
        if isinstance(epochs, int) and epochs < 1:
            raise ConfigError(f"GradualUnfreezing({epochs}): a group needs at least one epoch.")
        self.epochs = epochs
        self._before: list[tuple[nn.Parameter, bool]] = []
        self._now: int | None = None

    def before_fit(self) -> None:
        """Note what is frozen.

        Raises:
            ConfigError: the model has one layer group.
        """
        if n_layer_groups(self.opt) < 2:
            raise ConfigError(
                "GradualUnfreezing: the model has one parameter group, so there is nothing to unfreeze. Give Learner a"
                " splitter that returns several lists of parameters."
            )
        self._before, self._now = [(p, p.requires_grad) for p in self.model.parameters()], None

    def before_epoch(self) -> None:
        """Freeze what this epoch leaves alone."""
        frozen = self.frozen_at(self.epoch)
        if frozen is not None and frozen != self._now:
            self.learn.freeze_to(frozen)
            self._now = frozen

    def frozen_at(self, epoch: int) -> int | None:
        """How many of the first layer groups are frozen in an epoch, as ``freeze_to`` takes it; None: as found."""
        if isinstance(self.epochs, int):
            return max(n_layer_groups(self.opt) - 1 - epoch // self.epochs, 0)
        begun = [start for start in self.epochs if start <= epoch]
        return self.epochs[max(begun)] if begun else None

    def cleanup_fit(self) -> None:
        """Freeze what was frozen, and no more."""
        for parameter, requires_grad in self._before:
            parameter.requires_grad_(requires_grad)
        self._before = []
