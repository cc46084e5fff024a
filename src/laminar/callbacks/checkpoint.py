"""`Checkpoint`: the whole training on the disk, so that it can be killed at any moment and goes on."""

from __future__ import annotations

import secrets
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

import torch
from torch import Tensor

from laminar.callbacks.base import Callback
from laminar.callbacks.checkpoint_folder import CheckpointFolder, SavedTraining
from laminar.callbacks.stopping import StopSignals
from laminar.callbacks.tracker import monitored_column
from laminar.core.errors import ConfigError, describe
from laminar.core.lengths import Batches, Minutes

__all__ = ["Checkpoint"]

Every = Literal["epoch"] | int | Batches | Minutes
Part = Literal["train", "valid", "epoch", "finished"]


class Checkpoint(Callback):
    """Writes all that a training is made of, so that ``resume=True`` continues it in the middle of an epoch.

    Weights, optimiser, schedules, scaler, the state of every callback, metrics in progress, the record, the places of
    the loaders, random states. Tensors are safetensors files (``model.safetensors`` holds the weights alone, as
    ``learn.load`` reads them), the rest is JSON. A checkpoint is complete, on the disk and checked by checksums, or not
    there: the newest good one is found even when the last was torn. Where the disk is full or the folder cannot be
    written, training goes on with a warning, and what is there stays; so it does when weights are no numbers any more.

    ``learn.fit_one_cycle(10, cbs=Checkpoint("checkpoints", every=500), resume=True)`` in a script may be killed and
    started again as often as one likes. When the process is asked to stop (`signals`), it writes a checkpoint at the
    end of the batch and ends with `exit_code`.

    Args:
        folder: under the learner's path, unless it is absolute.
        every: when to write: ``"epoch"``; so many training batches (a number, or ``Batches(n)``); or ``Minutes(n)``.
            When an epoch brings a new `best`, and when the fit is over, one is written too.
        keep: how many to keep, the newest; besides the best one, and the last of each fit before this one.
        best: column of the table whose best epoch is kept too; None, or a table without it: none is.
        signals: on which to stop. SIGINT (Ctrl-C) is left alone in a notebook or at a prompt.
        exit_code: of the process when it stops so. 75, by the usual meaning of such codes, says "try again".

    Raises:
        ConfigError: other values; when a fit begins, another process writes checkpoints into the folder.
    """

    order = 1000  # after all others: what they have noted of the batch is in it
    passes = ("fit",)
    only_watches = True

    def __init__(
        self,
        folder: str | Path = "checkpoints",
        every: Every = "epoch",
        keep: int = 3,
        best: str | None = "valid_loss",
        signals: Sequence[str] = ("SIGTERM", "SIGINT", "SIGUSR1"),
        exit_code: int = 75,
    ) -> None:
        self.folder, self.keep, self.best, self.signals, self.exit_code = folder, keep, best, signals, exit_code
        self.every = every
        self._batches = every.n if isinstance(every, Batches) else every if isinstance(every, int) else None
        self._seconds = 60 * every.minutes if isinstance(every, Minutes) else None
        wrong = self._batches is None and self._seconds is None and every != "epoch"
        if wrong or (self._batches is not None and (self._batches < 1 or isinstance(every, bool))):
            raise ConfigError(
                f"Checkpoint(every={describe(every)}): it is 'epoch', a number of batches, or Minutes(...)."
            )
        if keep < 1:
            raise ConfigError(f"Checkpoint(keep={keep}): at least the newest one is kept.")
        self.last_path: Path | None = None
        self.lineage = secrets.token_hex(8)  # one for all checkpoints that lead to each other
        self._stop = StopSignals(signals)
        self._open: CheckpointFolder | None = None
        self._about: dict[str, Any] = {}
        self._column: tuple[int, bool] | None = None
        self._next_write = 0.0
        self._warned: set[Any] = set()

    @property
    def path(self) -> Path:
        """Where the checkpoints are."""
        return (Path(self.learn.path) / self.folder).absolute()

    @property
    def best_path(self) -> Path | None:
        """The checkpoint of the best epoch so far, for ``learn.load(path / "model")``; None if there is none."""
        found = self._best_of(CheckpointFolder(self.path).all())
        return None if found is None else found.path

    # ---- when --------------------------------------------------------------------------------------------------------

    def before_fit(self) -> None:
        """Become the only writer of the folder, and listen to signals."""
        self._about = self.learn.training_description()
        self._column, self._next_write = self._find_column(), self._after_a_while()
        self._close()  # a worker's death may have interrupted the cleaning up of the fit before
        folder = CheckpointFolder(self.path)
        try:
            folder.lock()
        except OSError as error:
            self._tell(error.strerror or str(error), error.errno)
            return
        self._open = folder
        self._stop.listen()

    def after_batch(self) -> None:
        """Write, if it is time or the process is to stop."""
        part: Part = "train" if self.training else "valid"
        if self._stop.arrived is not None:
            self._write_and_exit(part)
        elif self._seconds is not None:
            if time.monotonic() >= self._next_write:
                self.write(part)
        elif self.training and self._batches is not None and self.learn.train_iter % self._batches == 0:
            self.write(part)

    def after_epoch(self) -> None:
        """Write, if an epoch is the unit, or if this one was the best."""
        if self._stop.arrived is not None:
            self._write_and_exit("epoch")
        elif self.every == "epoch" or self._is_best():
            self.write("epoch")

    def after_fit(self) -> None:
        """Write how the fit has ended."""
        if self._stop.arrived is not None:
            self._write_and_exit("finished")
        self.write("finished")

    def cleanup_fit(self) -> None:
        """Let others write and listen."""
        try:
            self._close()
        finally:
            self._stop.leave()

    def _close(self) -> None:
        if self._open is not None:
            self._open.unlock()
            self._open = None

    def _after_a_while(self) -> float:
        return time.monotonic() + (self._seconds or 0.0)

    # ---- what --------------------------------------------------------------------------------------------------------

    def write(self, part: Part) -> Path | None:
        """Write a checkpoint now.

        Args:
            part: of the fit that has just ended: a batch of training or validation, the epoch, or all of it.

        Returns:
            Where it is; None, with a warning, if it could not be written.
        """
        if self._open is None:
            return None
        self._next_write = self._after_a_while()
        state = self.learn.training_state(part)
        spoilt = _not_finite(state.weights)
        if spoilt:
            self._tell(f"weights are no numbers any more ({spoilt[0]}{', ...' * (len(spoilt) > 1)})", "not finite")
            return None
        state.data["about"] = self._about
        call, fit = self.learn.fit_number
        place = state.data["position"]
        about: dict[str, Any] = {"call": call, "fit": fit, "lineage": self.lineage, **place}
        value = self._value() if part == "epoch" else None
        if value is not None and self._column is not None:
            about |= {"best": self.best, "value": value, "smaller": self._column[1]}
        try:
            self.last_path = self._open.write(state, about)
        except OSError as error:
            self._tell(error.strerror or str(error), error.errno)
            return None
        self._tidy(self._open)
        return self.last_path

    def _tell(self, why: str, cause: Any) -> None:
        """Warn that a checkpoint was not written; once for each cause."""
        if cause in self._warned:
            return
        self._warned.add(cause)
        warnings.warn(
            f"no checkpoint is written to {self.path}: {why}. Training goes on; those that are there are kept.",
            UserWarning,
            stacklevel=3,
        )

    def _write_and_exit(self, part: Part) -> NoReturn:
        name, written = self._stop.taken(), self.write(part)
        if written is None:
            raise SystemExit(f"{name}: the process stops; no checkpoint could be written.")
        where = f"epoch {self.epoch}, batch {self.iter}"
        print(f"{name}: {written.name} written at {where}; with resume=True training goes on there.", flush=True)
        raise SystemExit(self.exit_code)

    # ---- which are kept ----------------------------------------------------------------------------------------------

    def _tidy(self, folder: CheckpointFolder) -> None:
        found = folder.all()
        own = self.learn.fit_number
        kept = {saved.number for saved in found[: self.keep]}
        best = self._best_of(found)
        if best is not None:
            kept.add(best.number)
        earlier = [s for s in found if s.finished and s.about["lineage"] == self.lineage and s.key < own]
        kept |= {max(s.number for s in earlier if s.key == key) for key in {s.key for s in earlier}}
        for saved in found:
            if saved.number not in kept:
                folder.remove(saved)

    def _best_of(self, found: Sequence[SavedTraining]) -> SavedTraining | None:
        """The best epoch of the newest call."""
        newest = found[0] if found else None
        rivals = [
            saved
            for saved in found
            if saved.about.get("best") == self.best
            and newest is not None
            and (saved.about["lineage"], saved.key[0]) == (newest.about["lineage"], newest.key[0])
        ]
        rivals = [saved for saved in rivals if isinstance(saved.about.get("value"), float)]
        if not rivals:
            return None
        smaller = bool(rivals[0].about["smaller"])
        return min(rivals, key=lambda saved: saved.about["value"] if smaller else -saved.about["value"])

    def _find_column(self) -> tuple[int, bool] | None:
        """Where the column is in a row, and whether smaller is better."""
        if self.best is None:
            return None
        try:
            place, smaller = monitored_column(self.learn, self.best, "Checkpoint")
        except ConfigError:
            if self.best == "valid_loss":  # nobody has asked for it
                return None
            raise
        return place, "loss" in self.best or "error" in self.best if smaller is None else smaller

    def _value(self) -> float | None:
        recorder: Any = next((cb for cb in self.learn.cbs if hasattr(cb, "final_record")), None)
        row = recorder.final_record if recorder is not None and self._column is not None else []
        value = row[self._column[0]] if row and self._column is not None else None
        return float(value) if isinstance(value, int | float) and value == value else None

    def _is_best(self) -> bool:
        value = self._value()
        if value is None or self._column is None or self._open is None:
            return False
        best = self._best_of(self._open.all())
        if best is None or best.about["lineage"] != self.lineage:
            return True
        known = float(best.about["value"])
        return value < known if self._column[1] else value > known

    def state_dict(self) -> dict[str, Any]:
        """To which line of checkpoints the next ones belong."""
        return {"lineage": self.lineage}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with that line."""
        self.lineage = state["lineage"]


def _not_finite(weights: Mapping[str, Tensor]) -> list[str]:
    """The names of those that hold values that are no numbers; they show in the norms, which are quick to compute."""
    numbers = {name: tensor for name, tensor in weights.items() if tensor.is_floating_point() and tensor.numel()}
    norms = torch._foreach_norm(list(numbers.values())) if numbers else ()
    return [name for name, norm in zip(numbers, norms, strict=True) if not torch.isfinite(norm)]
