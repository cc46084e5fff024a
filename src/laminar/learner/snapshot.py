"""All that training changes in a learner, kept in memory and put back."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from laminar.core.device import apply
from laminar.core.seed import get_random_states, set_random_states
from laminar.learner.loop import TrainingLoop
from laminar.learner.places import keeps_place, place_of, put_in_place

__all__ = ["Snapshot"]


class Snapshot:
    """Weights, buffers, what is frozen, optimiser, callbacks' states, the loaders' places and the random states.

    Args:
        learn: the learner.
        device: where copies are kept; None keeps them where the originals are.
    """

    def __init__(self, learn: TrainingLoop, device: torch.device | None = None) -> None:
        self.learn, self.model, self.opt = learn, learn.model, learn.opt
        self._random = get_random_states()
        self._tensors = [
            (module, name, tensor, None if tensor is None else _copied(tensor, device))
            for module in self.model.modules()
            for name, tensor in [*module._parameters.items(), *module._buffers.items()]
        ]
        self._learning = [(parameter, parameter.requires_grad) for parameter in self.model.parameters()]
        self._opt_state = None if learn.opt is None else _copied(learn.opt.state_dict(), device)
        self._callbacks = [(callback, _copied_state(callback.state_dict())) for callback in learn.cbs]
        loaders = [learn.dls[number] for number in range(len(learn.dls))]
        self._loaders = [(loader, place_of(loader)) for loader in loaders if keeps_place(loader)]

    def restore(self) -> None:
        """Put everything back, into the same modules, tensors, optimiser and callbacks as it came from."""
        learn = self.learn
        learn.model, learn.opt = self.model, self.opt
        with torch.no_grad():
            for module, name, tensor, saved in self._tensors:
                if tensor is not None and saved is not None:
                    tensor.copy_(saved)
                if getattr(module, name) is not tensor:
                    setattr(module, name, tensor)
        for parameter, learns in self._learning:
            parameter.requires_grad_(learns)
        if self.opt is not None:
            self.opt.load_state_dict(self._opt_state)  # type: ignore[arg-type]  # there was an optimiser
        for callback, state in self._callbacks:
            callback.load_state_dict(_copied_state(state))
        set_random_states(**self._random)
        for loader, place in self._loaders:
            put_in_place(loader, place)


_PLAIN = {float, int, str, bool, type(None)}


def _copied_state(state: Any) -> Any:
    """A deep copy; long lists of numbers are copied at once."""
    if type(state) is dict:
        return {key: _copied_state(part) for key, part in state.items()}
    if type(state) is list:
        return list(state) if set(map(type, state)) <= _PLAIN else [_copied_state(part) for part in state]
    return copy.deepcopy(state)


def _copied(state: Any, device: torch.device | None) -> Any:
    """A copy of all tensors in a state, with everything else as it is."""

    def copied(part: Any) -> Any:
        return part.detach().to(device or part.device, copy=True) if isinstance(part, Tensor) else copy.copy(part)

    return copied(state) if isinstance(state, Tensor) else apply(copied, state)
