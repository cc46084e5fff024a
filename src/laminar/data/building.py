"""A loader for each split: which options go to which, and what is shared between them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch

from laminar.core.device import default_device
from laminar.core.errors import ConfigError
from laminar.data.checks import check_files, check_first_items
from laminar.data.loader import DataLoader
from laminar.data.loader_options import LoaderOptions
from laminar.data.options import TransformedLoadersOptions

__all__ = ["build_loaders"]


def build_loaders(
    datasets: Sequence[Any], dl_type: type | None, bs: int | None, given: TransformedLoadersOptions
) -> tuple[list[DataLoader], torch.device]:
    """Make a loader for each split's data set, and look at what they give.

    Args:
        datasets: training first.
        dl_type: the class of loader that the data want, where `given` names none.
        bs: items in a batch; None if each item of the data sets is a batch already.
        given: see `TransformedLoadersOptions`.

    Returns:
        The loaders, and the device their batches go to.

    Raises:
        ConfigError: as many dicts in ``dl_kwargs`` as splits are needed.
        DataError: items cannot be made or collated.
    """
    options: dict[str, Any] = dict(given)
    kind: type[DataLoader] = options.pop("dl_type", None) or dl_type or DataLoader
    each: Sequence[LoaderOptions] = options.pop("dl_kwargs", None) or [{}] * len(datasets)
    if len(each) != len(datasets):
        raise ConfigError(f"dl_kwargs has {len(each)} dicts for {len(datasets)} splits")
    check, val_bs = options.pop("check", True), options.pop("val_bs", None)
    device = torch.device(options["device"]) if options.get("device") is not None else default_device()
    workers = options.pop("num_workers", None)
    options |= {"device": device, "num_workers": _workers_for(device) if workers is None else workers}
    training = {
        name: options.pop(name, default) for name, default in (("shuffle", True), ("drop_last", None), ("n", None))
    }
    loaders: list[DataLoader] = []
    for number, (dataset, own) in enumerate(zip(datasets, each, strict=True)):
        split = {"split_idx": min(number, 1)} if getattr(dataset, "split_idx", None) is None else {}
        if number == 0:
            settings = {**options, **split, "bs": bs, **training, **own}
            if settings["drop_last"] is None:
                size = settings["bs"]
                whole = size is not None and _length(dataset, settings["n"]) >= size
                settings["drop_last"] = settings["shuffle"] and whole
            loaders.append(kind(dataset, **settings))
        else:
            # What the training loader's transforms learned is shared; each loader has pipelines of its own split.
            fitted = {
                name: getattr(loaders[0], name).transforms for name in ("after_item", "before_batch", "after_batch")
            }
            loaders.append(
                kind(dataset, **{**options, **fitted, **split, "bs": val_bs or bs, "do_setup": False, **own})
            )
    if check:
        check_files([loader for loader in loaders if loader.on_bad_item == "raise"])
        check_first_items(loaders)
    return loaders, device


def _length(dataset: Any, n: int | None) -> int:
    return len(dataset) if n is None else min(n, len(dataset))


def _workers_for(device: torch.device) -> int:
    return 0 if device.type == "cpu" else min(16, os.cpu_count() or 1)
