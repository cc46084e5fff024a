"""`resume=`: finding the checkpoint from which a call that trains goes on, and whether it is of the same training."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laminar.callbacks.checkpoint import Checkpoint
from laminar.callbacks.checkpoint_folder import CheckpointFolder, SavedTraining, TrainingState, opened
from laminar.callbacks.recorder import Recorder
from laminar.core.durable import check_durable
from laminar.core.errors import ConfigError, DataError, LaminarError, suggest
from laminar.learner.course import FROM_THE_BEGINNING, Start
from laminar.learner.same_training import KINDS, differences
from laminar.learner.state import InTraining, put_back

__all__ = ["Resume", "ResumeFrom", "where_to_start"]


@dataclass(frozen=True)
class Resume:
    """From where a call that trains goes on, and what may be different: ``fit(5, resume=Resume(accept=["data"]))``.

    Args:
        path: a folder of checkpoints, or one of them; None for that of the learner's `Checkpoint`.
        accept: what may differ from the training that was interrupted, of ``"data"``, ``"batch size"``,
            ``"schedule"``, ``"optimizer"``, ``"loss"``, ``"callbacks"`` and ``"metrics"``. With other data the epoch
            begins anew; with another batch size it goes on at the first batch that is not done in full; another
            optimiser begins without a state.

    Raises:
        ConfigError: nothing of that name can be accepted.
    """

    path: str | Path | None = None
    accept: Collection[str] = ()

    def __post_init__(self) -> None:
        for kind in [self.accept] if isinstance(self.accept, str) else self.accept:
            if kind not in KINDS:
                raise ConfigError(
                    f"Resume(accept={self.accept!r}): {kind!r} is none of {', '.join(KINDS)}.{suggest(kind, KINDS)}"
                )


ResumeFrom = bool | str | Path | Resume


def where_to_start(learn: Any, resume: ResumeFrom, start_epoch: int) -> Start | None:
    """Where a fit begins.

    Args:
        learn: the learner, its callbacks added; ``learn.fit_number`` says which fit it is.
        resume: what the caller gave.
        start_epoch: where it begins if there is no checkpoint.

    Returns:
        None, if this fit was over before the checkpoint was written, and what it ended as is not kept.

    Raises:
        ConfigError: no folder is known; the checkpoint is that of another training.
        DataError: what was given is no folder of checkpoints, or a damaged one.
    """
    fresh = FROM_THE_BEGINNING if not start_epoch else Start(epoch=start_epoch)
    if resume is False or resume is None:
        _warn_of_unfinished(learn)
        return fresh
    wanted = resume if isinstance(resume, Resume) else Resume(None if resume is True else resume)
    if start_epoch:
        raise ConfigError(f"start_epoch={start_epoch} and resume=... both say where to begin; give one of them.")
    saved = _chosen(learn, wanted)
    if saved is None:
        return fresh
    own, later = learn.fit_number, saved.key
    if wanted.path is not None and _is_checkpoint(_path_of(learn, wanted.path)):
        own, later = (0, own[1]), (0, later[1])  # one of them: whatever call it was written in
    if later < own:
        return fresh
    if later > own:
        kept = _end_of(learn, saved)
        print(f"This fit was over when {saved.path.name} was written{'' if kept else '; its end is not kept'}.")
        return None if kept is None else _start(learn, kept, wanted)
    return _start(learn, saved, wanted)


def _chosen(learn: Any, wanted: Resume) -> SavedTraining | None:
    """The checkpoint to go on from; None if there is none yet."""
    if wanted.path is None:
        callback = learn.get_cb(Checkpoint)
        if callback is None:
            raise ConfigError(
                "resume=True goes on from the checkpoints of a Checkpoint callback, and the learner has none. Add one,"
                " cbs=Checkpoint('checkpoints'), or say where they are: resume='folder'."
            )
        return CheckpointFolder(callback.path).newest()
    path = _path_of(learn, wanted.path)
    if _is_checkpoint(path):
        return opened(path, check_durable(path))
    found = CheckpointFolder(path).newest() if path.is_dir() else None
    if found is None:
        what = "no checkpoint that is whole" if path.is_dir() else "no such folder"
        raise DataError(f"resume={str(wanted.path)!r}: {what} ({path}). resume=True begins anew where there is none.")
    return found


def _path_of(learn: Any, path: str | Path) -> Path:
    """A path as given, or under the learner's, as checkpoints are written."""
    given = Path(path)
    return given if given.is_absolute() or given.exists() else Path(learn.path) / given


def _is_checkpoint(path: Path) -> bool:
    return (path / "manifest.json").is_file()


def _end_of(learn: Any, saved: SavedTraining) -> SavedTraining | None:
    """How this fit ended, on the way to a later checkpoint."""
    rivals = CheckpointFolder(saved.path.parent).whole()
    own, line = learn.fit_number, saved.about["lineage"]
    return next((r for r in rivals if r.finished and r.key == own and r.about["lineage"] == line), None)


def _warn_of_unfinished(learn: Any) -> None:
    callback = learn.get_cb(Checkpoint)
    if callback is None or learn.fit_number != (1, 1):
        return
    found = CheckpointFolder(callback.path).all()
    if found and not found[0].finished and found[0].about["lineage"] != callback.lineage:
        warnings.warn(
            f"{callback.path} holds a training that was interrupted ({found[0].path.name}); this fit begins anew beside"
            " it, and its checkpoints will take the place of those. To go on with it: resume=True.",
            UserWarning,
            stacklevel=2,
        )


def _start(learn: Any, saved: SavedTraining, wanted: Resume) -> Start:
    """Where a fit goes on after a checkpoint.

    Raises:
        ConfigError: it is the checkpoint of another training, in more than the caller accepts.
    """
    with _naming(saved.path):
        return _start_of(learn, saved, saved.read(), wanted)


def _start_of(learn: Any, saved: SavedTraining, state: TrainingState, wanted: Resume) -> Start:
    accepted = {wanted.accept} if isinstance(wanted.accept, str) else set(wanted.accept)
    found = differences(state.data["about"], learn.training_description())
    refused = {kind: texts for kind, texts in found.items() if kind not in accepted}
    if refused:
        raise ConfigError(_refusal(saved.path, refused))
    if state.data["versions"] != learn.versions():
        warnings.warn(
            f"{saved.path.name} was written with {state.data['versions']}, this is {learn.versions()}: training goes"
            " on, and may not be the same to the bit.",
            UserWarning,
            stacklevel=2,
        )
    epoch, part, done = (state.data["position"][name] for name in ("epoch", "part", "done"))
    left_out = frozenset(found)
    if part == "valid" and left_out & {"data", "batch size", "metrics"}:
        done = 0
        left_out |= {"data", "metrics"}
    elif part == "train" and "data" in left_out:
        part, done = "epoch", 0
    elif part == "train" and "batch size" in left_out:
        done = _in_batches_of(learn, state, done)
    print(f"Going on after {saved.path.name}: {_told(part, epoch, done)}.", flush=True)
    return Start(epoch, part, done, _PutBack(learn, saved.path, state, left_out))


def _told(part: str, epoch: int, done: int) -> str:
    if part == "finished":
        return "this fit was over"
    where = f"epoch {epoch}"
    return where if part == "epoch" else f"{where}, batch {done} of {'training' if part == 'train' else 'validation'}"


def _in_batches_of(learn: Any, state: TrainingState, done: int) -> int:
    """How many batches of the size of now are done in full, where `done` of another size were."""
    before, now = state.data["about"]["batch size"][0], learn.training_description()["batch size"][0]
    if not before or not now:
        return 0
    state.data["moved_by"] = (before, now)
    return int(done * before // now)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say of whatever goes wrong with what a checkpoint holds that it is this one."""
    try:
        yield
    except LaminarError as error:
        error.add_note(f"while reading {path}")
        raise
    except Exception as error:  # a state that no program wrote may be wrong in any way
        raise DataError(f"{path} is malformed: {type(error).__name__}: {error}.") from error


class _PutBack:
    """Makes the learner what it was; the first time, the table so far is shown too."""

    def __init__(self, learn: Any, path: Path, state: TrainingState, left_out: frozenset[str]) -> None:
        self.learn, self.path, self.state, self.left_out, self.shown = learn, path, state, left_out, False

    def __call__(self) -> None:
        learn: InTraining = self.learn
        with _naming(self.path):
            put_back(learn, self.state, self.left_out)
        if not self.shown:
            self.shown = True
            recorder = self.learn.get_cb(Recorder)
            if recorder is not None:
                recorder.show_again()


def _refusal(path: Path, refused: Mapping[str, Sequence[str]]) -> str:
    listed = "".join(f"\n  - {text}" for texts in refused.values() for text in texts)
    if "model" in refused:
        remedy = "Build the model as it was then; learn.load reads the weights that fit, with strict=False."
    else:
        names = ", ".join(repr(kind) for kind in refused)
        remedy = f"Make it as it was then, or accept the difference: resume=Resume(accept=[{names}])."
    return f"{path} was written by another training:{listed}\n{remedy}"
