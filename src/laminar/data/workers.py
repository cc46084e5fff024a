"""Processes that answer a loader's requests, by way of torch's own loader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
import torch.utils.data as torch_data

from laminar.data.fetching import BatchRequest, Fetched, Fetcher, WorkerFailure

__all__ = ["Workers"]


class Workers:
    """Answers the requests of one epoch after another in worker processes; they start with the first epoch.

    Args:
        fetcher: what answers a request; each process gets a copy.
        **settings: of torch's loader: num_workers, pin_memory, timeout, multiprocessing_context, prefetch_factor and
            persistent_workers.
    """

    def __init__(self, fetcher: Fetcher, **settings: Any) -> None:
        self._pending = _EpochRequests()
        self._loader: torch_data.DataLoader[Any] = torch_data.DataLoader(
            fetcher,
            sampler=self._pending,
            batch_size=None,
            generator=torch.Generator(),  # torch draws a base seed from it, and not from the caller's generator
            **settings,
        )

    def answers(self, requests: Sequence[BatchRequest]) -> Iterator[tuple[BatchRequest, Fetched]]:
        """Give each request with its answer, in order; an exception in a process is raised here."""
        self._pending.requests, self._pending.count = requests, len(requests)
        for request, answer in zip(requests, self._loader, strict=True):
            if isinstance(answer, WorkerFailure):
                answer.throw()
            yield request, answer


class _EpochRequests:
    """The requests of (the rest of) an epoch, as torch's loader iterates over its sampler.

    It is filled anew before each epoch, so that workers can be kept from one epoch to the next.
    """

    def __init__(self) -> None:
        self.requests: Iterable[BatchRequest] = ()
        self.count = 0

    def __iter__(self) -> Iterator[BatchRequest]:
        return iter(self.requests)

    def __len__(self) -> int:
        return self.count
