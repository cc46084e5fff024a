"""All that a training is made of, gathered as data in its middle, and put back into a learner made anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from laminar.callbacks.base import Callback
from laminar.callbacks.checkpoint_folder import TrainingState
from laminar.core.errors import ConfigError
from laminar.core.seed import get_random_states, set_random_states
from laminar.core.state_data import state_from_data, state_to_data
from laminar.learner.course import Course
from laminar.learner.places import place_of, put_in_place
from laminar.learner.saving import unwrapped

__all__ = ["gathered", "put_back"]


class InTraining(Protocol):
    """What is gathered from."""

    model: nn.Module
    opt: Optimizer | None
    loss_func: Callable[..., Any]
    dls: Any
    scaler: torch.amp.GradScaler
    epoch: int
    iter: int
    train_iter: int
    pct_train: float
    _course: Course
    _reading: Course

    @property
    def device(self) -> torch.device: ...
    @property
    def cbs(self) -> list[Callback]: ...


def gathered(learn: InTraining, part: str) -> TrainingState:
    """The state of a learner at the end of a batch, an epoch or a fit.

    Args:
        learn: the learner, in a fit.
        part: what has ended: a batch of ``"train"`` or ``"valid"``, an ``"epoch"``, or it has ``"finished"``.
    """
    tensors: dict[str, Tensor] = {}
    model = unwrapped(learn.model)
    weights = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    tensors.update({f"buffer.{name}": buffer for name, buffer in model.named_buffers() if name not in weights})
    tensors.update({f"grad.{name}": p.grad for name, p in model.named_parameters() if p.grad is not None})
    tensors.update({f"loss.{name}": tensor for name, tensor in _tensors_of_loss(learn.loss_func)})
    parts: dict[str, Any] = {
        "modules": dict(_states_of_modules(model)),
        "opt": None if learn.opt is None else _state_of_opt(learn.opt, model),
        "scaler": learn.scaler.state_dict(),
        "course": learn._course.state_dict(),
        "loaders": _places(learn, part),
        "random": get_random_states(),
        "callbacks": {name: callback.state_dict() for name, callback in _named(learn.cbs)},
    }
    data = {name: state_to_data(value, tensors, name) for name, value in parts.items()}
    data["position"] = {
        "part": part,
        "epoch": learn.epoch + (part == "epoch"),
        "done": learn.iter + 1 if part in ("train", "valid") else 0,
        "train_iter": learn.train_iter,
        "pct_train": learn.pct_train,
    }
    data["frozen"] = [name for name, p in model.named_parameters() if not p.requires_grad]
    return TrainingState(weights, tensors, data)


def put_back(learn: InTraining, state: TrainingState, left_out: frozenset[str] = frozenset()) -> None:
    """Make a learner what the state says; its callbacks have begun their fit.

    Args:
        learn: a learner with the same parts.
        state: what `gathered` returned, read from the disk.
        left_out: what stays as it is: ``"optimizer"``, ``"data"`` (the places of loaders), ``"metrics"`` (those in
            progress), ``"batch size"`` (places count other batches).
    """
    data, tensors = state.data, state.tensors
    model = unwrapped(learn.model)
    read = {name: state_from_data(data[name], tensors, learn.device) for name in _PARTS}
    _restore_weights(learn, model, state)
    _restore_modules(model, read["modules"])
    if learn.opt is not None and read["opt"] is not None and "optimizer" not in left_out:
        _restore_opt(learn.opt, model, read["opt"])
    if read["scaler"]:
        learn.scaler.load_state_dict(read["scaler"])
    learn._course.load_state_dict(read["course"])
    _restore_callbacks(learn.cbs, read["callbacks"], left_out)
    learn.train_iter, learn.pct_train = data["position"]["train_iter"], data["position"]["pct_train"]
    _set_generators(read["random"])
    if "data" not in left_out:
        if "batch size" in left_out:
            _recount(read["loaders"][0], data.get("moved_by"))
        loaders = [learn.dls[number] for number in range(len(learn.dls))]
        for loader, place in zip(loaders, read["loaders"], strict=False):
            if place is not None:
                put_in_place(loader, place)


_PARTS = ("modules", "opt", "scaler", "course", "loaders", "random", "callbacks")


def _restore_weights(learn: InTraining, model: nn.Module, state: TrainingState) -> None:
    """Weights, buffers, what is frozen, and gradients that wait for their step."""
    with torch.no_grad():
        own = {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers())}
        for name, value in [*state.weights.items(), *_below("buffer.", state.tensors)]:
            own[name].copy_(value)
        for name, value in _tensors_of_loss(learn.loss_func):
            value.copy_(state.tensors[f"loss.{name}"])
    frozen, gradients = set(state.data["frozen"]), dict(_below("grad.", state.tensors))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)
        parameter.grad = _like(parameter, gradients[name]) if name in gradients else None


def _restore_callbacks(callbacks: list[Callback], states: dict[str, Any], left_out: frozenset[str]) -> None:
    for name, callback in _named(callbacks):
        if name in states:
            state = states[name]
            if "metrics" in left_out:
                state.pop("in_progress", None)
            callback.load_state_dict(state)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
    return [(name.removeprefix(prefix), tensor) for name, tensor in tensors.items() if name.startswith(prefix)]


def _named(callbacks: list[Callback]) -> Iterator[tuple[str, Callback]]:
    """Callbacks by the names of their classes; of several of one class, the later ones with a number."""
    seen: dict[str, int] = {}
    for callback in callbacks:
        name = type(callback).__name__
        seen[name] = seen.get(name, 0) + 1
        yield (name if seen[name] == 1 else f"{name}_{seen[name]}"), callback


def _places(learn: InTraining, part: str) -> list[Any]:
    """Where each loader is; the one that is being read goes on in the middle of its epoch."""
    reading = {"train": 0, "valid": 1}.get(part)
    places = []
    for number in range(len(learn.dls)):
        goes_on = number == reading or (number == 0 and learn._course.spans_epochs and part != "finished")
        ahead = learn._reading.place_ahead if number == reading else None
        places.append(place_of(learn.dls[number], left=not goes_on) if ahead is None else ahead)
    return places


def _recount(place: Any, sizes: tuple[int, int] | None) -> None:
    """Count the batches of a place in another size."""
    if sizes is not None and isinstance(place, dict) and "batch" in place:
        place["batch"] = place["batch"] * sizes[0] // sizes[1]


# ---- modules with a state that is no tensor of theirs ----------------------------------------------------------------


def _states_of_modules(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """What modules keep besides tensors: ``get_state``, as recurrent networks do, or torch's ``get_extra_state``."""
    for name, module in model.named_modules():
        if callable(getattr(module, "get_state", None)) and callable(getattr(module, "set_state", None)):
            yield f"state.{name}", module.get_state()
        if type(module).get_extra_state is not nn.Module.get_extra_state:
            yield f"extra.{name}", module.get_extra_state()


def _restore_modules(model: nn.Module, states: Mapping[str, Any]) -> None:
    for name, state in states.items():
        kind, _, path = name.partition(".")
        module: Any = model.get_submodule(path)
        (module.set_state if kind == "state" else module.set_extra_state)(state)


def _tensors_of_loss(loss_func: Callable[..., Any]) -> list[tuple[str, Tensor]]:
    """Parameters and buffers of a loss that is a module: it may learn, too."""
    if not isinstance(loss_func, nn.Module):
        return []
    return [*loss_func.named_parameters(), *loss_func.named_buffers()]


# ---- the optimiser ---------------------------------------------------------------------------------------------------


def _state_of_opt(opt: Optimizer, model: nn.Module) -> dict[str, Any]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = [
        {
            "params": [names.get(id(p), f"{number}.{place}") for place, p in enumerate(group["params"])],
            "hypers": {key: value for key, value in group.items() if key not in ("params", "param_names")},
        }
        for number, group in enumerate(opt.param_groups)
    ]
    state = {
        f"{number}.{place}": {key: _noting_device(value, p) for key, value in opt.state[p].items()}
        for number, group in enumerate(opt.param_groups)
        for place, p in enumerate(group["params"])
        if p in opt.state
    }
    return {"groups": groups, "state": state}


def _noting_device(value: Any, parameter: Tensor) -> Any:
    """A tensor, and whether it lies where the parameter does: counts of steps may stay on the CPU."""
    return (value, value.device == parameter.device) if isinstance(value, Tensor) else value


def _restore_opt(opt: Optimizer, model: nn.Module, saved: Mapping[str, Any]) -> None:
    names = [group["params"] for group in _state_of_opt(opt, model)["groups"]]
    if names != [group["params"] for group in saved["groups"]]:
        raise ConfigError("the optimiser's parameter groups hold other parameters than those of the checkpoint.")
    for number, (group, given) in enumerate(zip(opt.param_groups, saved["groups"], strict=True)):
        group.update(given["hypers"])  # in place: schedulers hold on to the groups
        for place, parameter in enumerate(group["params"]):
            state = saved["state"].get(f"{number}.{place}")
            if state is None:
                opt.state.pop(parameter, None)
            else:
                opt.state[parameter] = {key: _placed(value, parameter) for key, value in state.items()}


def _placed(value: Any, parameter: Tensor) -> Any:
    if not (isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], Tensor)):
        return value
    tensor, with_parameter = value
    if tensor.shape == parameter.shape and with_parameter:
        return _like(parameter, tensor)
    return tensor.to(parameter.device if with_parameter else "cpu", copy=True)


def _like(parameter: Tensor, saved: Tensor) -> Tensor:
    """A saved tensor on the device and in the memory layout of a parameter."""
    return torch.empty_like(parameter, dtype=saved.dtype, requires_grad=False).copy_(saved)


# ---- generators ------------------------------------------------------------------------------------------------------


def _set_generators(states: dict[str, Any]) -> None:
    """Put the global generators back; those of CUDA devices as far as there are as many as before."""
    states = {**states, "numpy_state": _numpy_state(states["numpy_state"])}
    if states["torch_cuda_state"] and torch.cuda.device_count() != len(states["torch_cuda_state"]):
        states["torch_cuda_state"] = []
    set_random_states(**states)


def _numpy_state(state: Any) -> Any:
    return (state[0], state[1].astype(np.uint32), *state[2:])
