"""Where the time of a training goes, by torch's profiler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from laminar.callbacks.base import Callback
from laminar.core.errors import ConfigError

__all__ = ["ProfilerCallback"]


class ProfilerCallback(Callback):
    """Profiles a few training batches with ``torch.profiler``: a trace file for a browser, and a table.

    The trace opens at https://ui.perfetto.dev. ``learn.profiler.table()`` is what took longest.

    Args:
        wait: training batches to leave out first.
        warmup: batches to run under the profiler and throw away.
        active: batches to record.
        fname: name of the trace file, under the learner's path.
        record_shapes: note the shapes of inputs; the table then has a row for each.
        profile_memory: note what is allocated.
        with_stack: note source lines.
    """

    order = 80  # after everybody who works on the batch
    run_valid = False
    passes = ("fit",)
    only_watches = True

    def __init__(
        self,
        wait: int = 2,
        warmup: int = 1,
        active: int = 5,
        fname: str = "profile.json",
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
    ) -> None:
        self.wait, self.warmup, self.active, self.fname = wait, warmup, active, fname
        self.record_shapes, self.profile_memory, self.with_stack = record_shapes, profile_memory, with_stack
        self.averages: Any = None
        self._profile: Any = None

    @property
    def path(self) -> Path:
        """Where the trace is."""
        return Path(self.learn.path) / self.fname

    def before_fit(self) -> None:
        """Forget an earlier profile."""
        self.averages = None

    def before_train(self) -> None:
        """Begin with the first epoch that trains."""
        if self._profile is not None or self.averages is not None:
            return
        activities = [ProfilerActivity.CPU]
        if self.learn.device.type == "cuda":
            activities.append(ProfilerActivity.CUDA)
        self._profile = profile(
            activities=activities,
            schedule=schedule(wait=self.wait, warmup=self.warmup, active=self.active, repeat=1),
            on_trace_ready=self._keep,
            record_shapes=self.record_shapes,
            profile_memory=self.profile_memory,
            with_stack=self.with_stack,
        )
        self._profile.start()

    def after_batch(self) -> None:
        """A batch is done."""
        if self._profile is not None:
            self._profile.step()
            if self.averages is not None:
                self._stop()

    def _keep(self, profiled: Any) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        profiled.export_chrome_trace(str(self.path))
        self.averages = profiled.key_averages(group_by_input_shape=self.record_shapes)

    def _stop(self) -> None:
        if self._profile is not None:
            self._profile.stop()
            self._profile = None

    def cleanup_fit(self) -> None:
        """End the profile, of a fit that was too short for all of it too."""
        self._stop()

    def table(self, sort_by: str | None = None, row_limit: int = 15) -> str:
        """What took longest, one row for each operation.

        Args:
            sort_by: a column of torch's table, such as ``"cpu_time_total"``; time on the device by default, where
                there was one, else on the CPU.
            row_limit: number of rows.

        Raises:
            ConfigError: nothing was recorded.
        """
        if self.averages is None:
            raise ConfigError(
                f"ProfilerCallback has recorded nothing: it begins after {self.wait + self.warmup} training batches."
            )
        by = sort_by or ("self_device_time_total" if torch.cuda.is_initialized() else "self_cpu_time_total")  # type: ignore[no-untyped-call]  # torch has not annotated it
        return str(self.averages.table(sort_by=by, row_limit=row_limit))
