"""What recurrent networks need in training: a fresh state for each pass, and penalties on what they return."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from laminar.callbacks.base import Callback
from laminar.core.errors import ConfigError, describe

__all__ = ["ModelResetter", "RNNCallback", "RNNRegularizer", "rnn_cbs"]


class ModelResetter(Callback):
    """Calls the model's ``reset()``, which forgets its hidden state, before training, before validation and at the end.

    The state in the middle of a training, if the model tells it (``get_state``, ``set_state``), comes back after a
    validation or prediction that was asked for meanwhile, and is saved with checkpoints.

    Raises:
        ConfigError: when a pass begins, if the model has no ``reset``.
    """

    def __init__(self) -> None:
        self._before: list[Any] = []  # the state when a validation began, and one within it

    def before_fit(self) -> None:
        """Check that the model can."""
        if not callable(getattr(self.model, "reset", None)):
            raise ConfigError(f"ModelResetter calls model.reset(), which {type(self.model).__name__} does not have.")
        self._before.clear()

    def before_train(self) -> None:
        """Forget."""
        self.model.reset()  # type: ignore[operator]  # checked in before_fit

    def before_validate(self) -> None:
        """Forget, for the time being."""
        self._before.append(self._state())
        self.model.reset()  # type: ignore[operator]  # checked in before_fit

    def after_validate(self) -> None:
        """Put back the state that there was before."""
        self._put_back(self._before.pop())

    def after_fit(self) -> None:
        """Forget."""
        self.model.reset()  # type: ignore[operator]  # checked in before_fit

    def state_dict(self) -> dict[str, Any]:
        """The model's state."""
        state = self._state()
        return {} if state is None else {"hidden": [list(layer) for layer in state]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Give the model its state."""
        if "hidden" in state:
            self._put_back([tuple(layer) for layer in state["hidden"]])

    def _state(self) -> Any:
        tell = getattr(self.model, "get_state", None)
        return tell() if callable(tell) else None

    def _put_back(self, state: Any) -> None:
        take = getattr(self.model, "set_state", None)
        if callable(take):
            take(state)


class RNNCallback(Callback):
    """For models that return ``(output, raw_outputs, outputs)``: hands the first on, and keeps the others for
    `RNNRegularizer`.

    Attributes:
        raw_out: the last layer's hidden states before dropout, ``[batch, length, features]``.
        out: the same after dropout.
    """

    order = 5  # before penalties look at it

    def __init__(self) -> None:
        self.raw_out: Any = None
        self.out: Any = None

    def after_pred(self) -> None:
        """Take the tuple apart.

        Raises:
            ConfigError: there are not three parts.
        """
        self.learn.pred, self.raw_out, self.out = _parts(self.pred)

    def read(self, output: Any) -> Any:
        """The predictions in a model's output, or the output if it has no other parts; nothing is kept."""
        return _parts(output)[0] if isinstance(output, tuple | list) else output

    def cleanup_fit(self) -> None:
        """Let go of the last batch."""
        self.raw_out = self.out = None


def _parts(output: Any) -> tuple[Any, Any, Any]:
    if not isinstance(output, tuple | list) or len(output) != 3:
        raise ConfigError(
            f"RNNCallback is for models that return (output, raw_outputs, outputs); this one returned"
            f" {describe(output)}."
        )
    predictions, raw, dropped = (part[-1] if isinstance(part, tuple | list) else part for part in output)
    return predictions, raw, dropped


class RNNRegularizer(Callback):
    """Adds two penalties to the loss of recurrent networks, in training: on large activations, and on activations that
    change quickly from one step in time to the next (Merity et al., "Revisiting activation regularization for language
    RNNs", 2017). The loss that is reported has neither.

    Args:
        alpha: weight of the mean squared activation after dropout.
        beta: weight of the mean squared change of activation before dropout.
    """

    order = -7  # before accumulation weighs the loss
    run_valid = False

    def __init__(self, alpha: float = 0.0, beta: float = 0.0) -> None:
        self.alpha, self.beta = alpha, beta

    def before_fit(self) -> None:
        """Check that somebody keeps the activations.

        Raises:
            ConfigError: nobody does.
        """
        if self.learn.get_cb(RNNCallback) is None:
            raise ConfigError(
                "RNNRegularizer needs RNNCallback, which keeps the activations: use rnn_cbs(alpha, beta)."
            )

    def after_loss(self) -> None:
        """Add the penalties."""
        kept = self.learn.get_cb(RNNCallback)
        if kept is None or self.learn.loss_grad is None:
            return
        penalty = torch.zeros((), device=self.loss_grad.device)
        if self.alpha:
            penalty = penalty + self.alpha * _mean_square(kept.out)
        if self.beta and kept.raw_out.shape[1] > 1:
            penalty = penalty + self.beta * _mean_square(kept.raw_out[:, 1:] - kept.raw_out[:, :-1])
        self.learn.loss_grad = self.loss_grad + penalty


def _mean_square(activations: Tensor) -> Tensor:
    return activations.float().square().mean()


def rnn_cbs(alpha: float = 0.0, beta: float = 0.0) -> list[Callback]:
    """The callbacks of a recurrent network: `ModelResetter`, `RNNCallback`, and `RNNRegularizer` if there is a penalty.

    Args:
        alpha: weight of the mean squared activation.
        beta: weight of the mean squared change of activation.
    """
    return [ModelResetter(), RNNCallback(), *([RNNRegularizer(alpha, beta)] if alpha or beta else [])]
