"""Averaging the weights over the last epochs."""

from __future__ import annotations

from typing import Any

from laminar.callbacks.averaging import AveragedWeights
from laminar.callbacks.batch_norms import MeasureStatistics, batch_norms
from laminar.callbacks.schedule import SchedCos
from laminar.core.errors import ConfigError
from laminar.optim.groups import HyperSetter, n_layer_groups, spread

__all__ = ["SWA"]


class SWA(AveragedWeights):
    """Ends with the mean of the weights after each of the last epochs, best at a learning rate that stays high
    (Izmailov et al., "Averaging weights leads to wider optima and better generalization", 2018).

    Validation sees the mean as soon as there is one; training goes on with the weights themselves. The statistics of
    batch norms, which no mean of weights fits exactly, are measured anew at the end, on the training items without
    augmentation.

    Args:
        start: share of the training after which epochs count, 0 to below 1; the weights at that moment are the first.
        lr: learning rate from there on, whatever a schedule says: a number, or what `fit` takes for several parameter
            groups; None leaves it alone.
        anneal_epochs: epochs in which the rate goes over to `lr`, along a cosine.
        update_bn: measure batch norm statistics at the end; that is one pass over the training set.
        at_end: leave the mean in the model; False puts the last weights back.

    Raises:
        ConfigError: `start` is not from 0 to below 1.
    """

    def __init__(
        self,
        start: float = 0.75,
        lr: float | slice | list[float] | None = None,
        anneal_epochs: float = 1.0,
        update_bn: bool = True,
        at_end: bool = True,
    ) -> None:
        if not 0 <= start < 1:
            raise ConfigError(f"SWA(start={start}): the share of training before the average is from 0 to below 1.")
        super().__init__(at_end)
        self.start, self.lr, self.anneal_epochs, self.update_bn = start, lr, anneal_epochs, update_bn
        self._norms: list[Any] = []
        self._rate: HyperSetter | None = None
        self._way: SchedCos | None = None

    def before_fit(self) -> None:
        """Begin without an average."""
        super().before_fit()
        self._rate = HyperSetter(self.opt, "lr") if self.lr is not None else None
        self._way, self._norms = None, []

    def before_step(self) -> None:
        """Set the learning rate, after whoever else has set it."""
        begun = self.learn.pct_train - self.start
        if self._rate is None or begun < 0:
            return
        if self._way is None:
            self._way = SchedCos(self._rate.get(), spread(self.lr, n_layer_groups(self.opt)))
        epochs = begun * self.n_epoch
        self._rate(self._way(min(1.0, epochs / self.anneal_epochs) if self.anneal_epochs else 1.0))

    def after_train(self) -> None:
        """Take the weights into the mean."""
        self._norms = batch_norms(self.model)
        if (self.epoch + 1) / self.n_epoch >= self.start:
            self.steps += 1
            self.move(1 / self.steps)

    def after_fit(self) -> None:
        """Leave the mean in the model, with statistics that fit."""
        super().after_fit()
        if self.at_end and self.steps and self.update_bn and self._norms:
            self.learn.validate(0, cbs=MeasureStatistics(self._norms))

    def cleanup_fit(self) -> None:
        """After an exception, put back what is trained; let go of the average."""
        super().cleanup_fit()
        self._norms, self._rate, self._way = [], None, None

    def state_dict(self) -> dict[str, Any]:
        """The mean, how the learning rate goes over to it, and which batch norms are to be measured."""
        norms = {id(norm) for norm in self._norms}
        way = None if self._way is None else (self._way.start, self._way.end)
        places = [place for place, module in enumerate(self._modules()) if id(module) in norms]
        return {**super().state_dict(), "way": way, "norms": places}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with them."""
        super().load_state_dict(state)
        modules = self._modules()
        self._way = None if state["way"] is None else SchedCos(*state["way"])
        self._norms = [modules[place] for place in state["norms"]]

    def _modules(self) -> list[Any]:
        return list(self.model.modules()) if self._live else []
