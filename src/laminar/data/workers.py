"""Processes that answer a loader's requests, by way of torch's own loader; dead ones are replaced, if asked."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import active_children, connection
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

import torch
import torch.utils.data as torch_data

from laminar.data.fetching import BatchRequest, Fetched, Fetcher, WorkerFailure

__all__ = ["Workers", "obey_the_parent_alone"]

_MOMENT = 5.0  # seconds


class Workers:
    """Answers the requests of one epoch after another in worker processes; they start with the first epoch.

    Args:
        fetcher: what answers a request; each process gets a copy.
        restarts: how often in an epoch processes may be started anew, when one of them was killed or has crashed.
        **settings: of torch's loader: num_workers, pin_memory, timeout, multiprocessing_context, prefetch_factor and
            persistent_workers.
    """

    def __init__(self, fetcher: Fetcher, restarts: int = 0, **settings: Any) -> None:
        self._fetcher, self._restarts, self._settings = fetcher, restarts, settings
        self._pending = _EpochRequests()
        self._processes: list[BaseProcess] = []
        self._loader = self._new_loader()

    def _new_loader(self) -> torch_data.DataLoader[Any]:
        return torch_data.DataLoader(
            self._fetcher,
            sampler=self._pending,
            batch_size=None,
            generator=torch.Generator(),  # torch draws a base seed from it, and not from the caller's generator
            worker_init_fn=obey_the_parent_alone,
            **self._settings,
        )

    def answers(self, requests: Sequence[BatchRequest]) -> Iterator[tuple[BatchRequest, Fetched]]:
        """Give each request with its answer, in order; an exception in a process is raised here.

        A request says all that its answer depends on, so other processes give the answers that dead ones owe.
        """
        for request, answer in zip(requests, self._in_spite_of_deaths(requests), strict=True):
            if isinstance(answer, WorkerFailure):
                answer.throw()
            yield request, answer

    def _in_spite_of_deaths(self, requests: Sequence[BatchRequest]) -> Iterator[Any]:
        delivered, left = 0, self._restarts
        while True:
            try:
                for answer in self._answers_of(requests[delivered:]):
                    yield answer
                    delivered += 1
                return
            except (RuntimeError, OSError, EOFError) as error:  # what torch says of it, or what connected them
                if isinstance(error, ConnectionError | EOFError):
                    try:
                        _wait_for_an_end(self._processes)
                    except RuntimeError:  # torch tells of the death now, and not later, in the middle of something else
                        if not left:
                            raise
                dead = _dead_of(self._processes)
                if not left or not dead:
                    raise
            left -= 1
            self._loader = self._new_loader()
            self._tell(dead, requests[delivered].number, left)

    def _answers_of(self, requests: Sequence[BatchRequest]) -> Iterator[Any]:
        """What the processes of now answer.

        Raises:
            RuntimeError: one of them is dead.
        """
        self._pending.requests, self._pending.count = requests, len(requests)
        others = set(active_children())
        answers = iter(self._loader)
        self._processes = [process for process in active_children() if process not in others] or self._processes
        if not self._restarts:
            yield from answers
            return
        with _deaths_wait(self._processes) as waiting:
            for _ in requests:
                dead = _dead_of(self._processes)
                if dead:
                    raise RuntimeError(f"DataLoader worker ({_called(dead)}) has died")
                with waiting:
                    answer = next(answers)
                yield answer
            yield from answers  # which ends it: there are no more

    @staticmethod
    def _tell(dead: Sequence[BaseProcess], batch: int, left: int) -> None:
        """Warn that processes were started anew."""
        warnings.warn(
            f"a worker process has died ({_called(dead)}); all of them are started anew, and go on with batch {batch}."
            f" restart_workers allows it {left} more times in this epoch.",
            UserWarning,
            stacklevel=2,
        )


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


# ---- signals ---------------------------------------------------------------------------------------------------------


def obey_the_parent_alone(worker: int) -> None:
    """Let a worker process go on working when its whole group, or all processes of a job, are asked to stop.

    Ctrl-C in a terminal, schedulers of clusters and service managers ask each process. When to stop is the parent's
    affair, which may want to end a batch first; without a parent a worker ends by itself.

    Args:
        worker: its number; torch's loader calls this in each.
    """
    for name in ("SIGINT", "SIGUSR1", "SIGUSR2", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):  # it tells who has sent the signal
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_when_the_parent_asks, daemon=True).start()


def _end_when_the_parent_asks() -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


# ---- deaths ----------------------------------------------------------------------------------------------------------


def _dead_of(processes: Iterable[BaseProcess]) -> list[BaseProcess]:
    return [process for process in processes if not process.is_alive()]


def _wait_for_an_end(processes: Sequence[BaseProcess]) -> None:
    """A process that dies lets go of its connections a moment before it counts as dead."""
    ended = connection.wait([process.sentinel for process in processes], _MOMENT)
    for process in processes:
        if process.sentinel in ended:
            process.join(_MOMENT)


def _called(dead: Iterable[BaseProcess]) -> str:
    """How processes have ended: ``number 4711, by SIGKILL``."""
    return "; ".join(f"number {process.pid}, {_end_of(process.exitcode or 0)}" for process in dead)


def _end_of(code: int) -> str:
    try:
        return f"by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    except ValueError:
        return f"exit code {code}"


class _Deaths:
    """Stands before torch's listener to the ends of processes, which raises in the middle of whatever runs then.

    A death of one of `processes` is told only while an answer is waited for, in a ``with`` block.
    """

    def __init__(self, processes: Sequence[BaseProcess], before: Any) -> None:
        self.processes, self.before, self.waiting = processes, before, False

    def __enter__(self) -> None:
        self.waiting = True

    def __exit__(self, *error: object) -> None:
        self.waiting = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        try:
            if callable(self.before):
                self.before(number, frame)
        except RuntimeError:
            if self.waiting or not _dead_of(self.processes):
                raise


@contextmanager
def _deaths_wait(processes: Sequence[BaseProcess]) -> Iterator[_Deaths]:
    """Let the deaths of processes be told where the next answer is waited for, and nowhere else."""
    listens = hasattr(signal, "SIGCHLD") and _in_main_thread()
    deaths = _Deaths(processes, signal.getsignal(signal.SIGCHLD) if listens else None)
    if listens:
        signal.signal(signal.SIGCHLD, deaths)
    try:
        yield deaths
    finally:
        listening: Any = signal.getsignal(signal.SIGCHLD) if listens and _in_main_thread() else None
        if listening is deaths:  # another epoch's may stand before this one, which then passes on what it hears
            signal.signal(signal.SIGCHLD, deaths.before)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
