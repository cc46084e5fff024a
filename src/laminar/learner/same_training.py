"""What a training is made of, in a few words and numbers; and how two of them differ."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import TensorDataset

from laminar.callbacks.base import Callback
from laminar.callbacks.schedule import ParamScheduler
from laminar.core.errors import describe
from laminar.data.items import item_at, name_of
from laminar.learner.course import length_of
from laminar.learner.saving import unwrapped
from laminar.nn.decoding import loss_name
from laminar.optim.groups import get_hyper, hyper_names

__all__ = ["KINDS", "described", "differences"]

KINDS = ("data", "batch size", "schedule", "optimizer", "loss", "callbacks", "metrics")
"""What may differ, if the caller accepts it; the model may not."""

_LOOKED_AT = 32  # items of a split
_POINTS = (0.0, 0.1, 0.3, 0.6, 0.9, 1.0)  # of a schedule
_SHOWN = 4  # names in a message


class Describable(Protocol):
    """What is described."""

    model: nn.Module
    opt: Optimizer | None
    loss_func: Callable[..., Any]
    dls: Any
    metrics: list[Any]

    @property
    def cbs(self) -> list[Callback]: ...


def described(learn: Describable, call: str, arguments: Mapping[str, str]) -> dict[str, Any]:
    """Describe a training at its beginning, as JSON.

    Args:
        learn: the learner, ready to fit.
        call: the method that trains.
        arguments: what it was given, written out.
    """
    model = unwrapped(learn.model)
    tensors = [*model.named_parameters(), *model.named_buffers()]
    loaders = [learn.dls[number] for number in range(len(learn.dls))]
    return {
        "model": {
            name: f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}" for name, tensor in tensors
        },
        "data": [_described_loader(loader) for loader in loaders],
        "batch size": [getattr(loader, "bs", None) for loader in loaders],
        "schedule": {"call": call, **arguments, **dict(_schedules(learn))},
        "optimizer": {} if learn.opt is None else _described_opt(learn.opt),
        "loss": loss_name(learn.loss_func),
        "callbacks": sorted(type(callback).__name__ for callback in learn.cbs if not callback.only_watches),
        "metrics": [metric.name for metric in learn.metrics],
    }


def _described_loader(loader: Any) -> dict[str, Any]:
    dataset = getattr(loader, "dataset", None)
    about = {"loader": type(loader).__name__, "data set": type(dataset).__name__}
    if dataset is None:
        return {**about, "batches": length_of(loader)}
    vocab = getattr(loader, "vocab", None)
    return {
        **about,
        "items": length_of(dataset),
        "classes": None if vocab is None else [str(name) for name in list(vocab)[:1000]],
        "shuffled": bool(getattr(loader, "shuffle", False)),
        "last batch": "left out" if getattr(loader, "drop_last", False) else "kept",
        "content": _digest(dataset),
    }


def _digest(dataset: Any) -> str:
    """A checksum of a few items, as far as they can be had without making them; empty where they cannot."""
    count = length_of(dataset)
    places = sorted({round(place) for place in np.linspace(0, count - 1, _LOOKED_AT)}) if count else []
    digest = hashlib.sha256(str(count).encode())
    known = False
    for place in places:
        for part in _cheap_item(dataset, place):
            known = True
            digest.update(part)
    return digest.hexdigest()[:16] if known else ""


def _cheap_item(dataset: Any, place: int) -> Iterator[bytes]:
    if isinstance(dataset, TensorDataset):
        yield from (_bytes_of(tensor[place]) for tensor in dataset.tensors)
        return
    items = getattr(dataset, "items", None)
    if items is None or callable(items) or not hasattr(items, "__len__"):
        return
    item = item_at(items, place)
    if isinstance(item, PurePath):  # elsewhere, on another machine, they are the same files
        yield "/".join(item.parts[-2:]).encode()
    elif isinstance(item, Tensor):
        yield _bytes_of(item)
    else:
        yield name_of(item).encode()


def _bytes_of(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def _schedules(learn: Describable) -> Iterator[tuple[str, str]]:
    """Scheduled hyper-parameters at a few points of the fit."""
    for callback in learn.cbs:
        if isinstance(callback, ParamScheduler) and learn.opt is not None:
            for name, values in callback.values_at(learn.opt, _POINTS).items():
                yield name, ", ".join("/".join(f"{value:.6g}" for value in groups) for groups in values)


def _described_opt(opt: Optimizer) -> dict[str, Any]:
    hypers = {name: "/".join(f"{value:.6g}" for value in get_hyper(opt, name)) for name in hyper_names(opt)}
    sizes = [sum(parameter.numel() for parameter in group["params"]) for group in opt.param_groups]
    return {"class": type(opt).__name__, "parameters in groups": sizes, **hypers}


# ---- comparing -------------------------------------------------------------------------------------------------------


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, list[str]]:
    """How two descriptions differ, in words, by kind; kinds that do not are left out."""
    found = {kind: list(_told(kind, before.get(kind), now.get(kind))) for kind in ("model", *KINDS)}
    return {kind: texts for kind, texts in found.items() if texts}


def _told(kind: str, before: Any, now: Any) -> Iterator[str]:
    if before == now:
        return
    if kind == "model" and isinstance(before, dict):
        yield from _told_model(before, now)
    elif kind == "data" and isinstance(before, list) and len(before) == len(now):
        for number, (one, other) in enumerate(zip(before, now, strict=True)):
            split = {0: "training", 1: "validation"}.get(number, f"loader {number}")
            yield from _told_parts(f"data, {split}", one, other)
    elif isinstance(before, dict):
        yield from _told_parts(kind, before, now)
    else:
        yield f"{kind}: {_short(before)} then, {_short(now)} now"


def _told_model(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    parts = [
        ("missing now", [name for name in before if name not in now]),
        ("new", [name for name in now if name not in before]),
        ("other", [f"{n} {before[n]}, now {now[n]}" for n in before if n in now and before[n] != now[n]]),
    ]
    for what, names in parts:
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            yield f"model: {what}: {', '.join(names[:_SHOWN])}{more}"


def _told_parts(title: str, before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys([*before, *now]):
        if before.get(name) != now.get(name):
            yield f"{title}: {name} was {_short(before.get(name))}, and is {_short(now.get(name))}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 120 else describe(value)
