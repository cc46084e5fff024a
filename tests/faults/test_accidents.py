"""What else happens to trainings: full disks, folders that nobody may write, dead workers, lost files, wrong clocks."""

import errno
import json
import multiprocessing
import os
import resource
import signal
import time
import warnings
from pathlib import Path

import pytest
import torch
from tests.faults.training import N_EPOCH, Process, learner, result, train
from torch.utils.data import Dataset

from laminar.callbacks import EMA, Callback, Checkpoint, TerminateOnNaNCallback
from laminar.callbacks.checkpoint_folder import CheckpointFolder
from laminar.core.errors import ConfigError, DataError
from laminar.data import DataLoader, DataLoaders
from laminar.learner import Learner

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="starts processes as POSIX does")


def numbers(folder: Path) -> list[int]:
    return [saved.number for saved in CheckpointFolder(folder / "checkpoints").whole()]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict:
    learn = learner(tmp_path_factory.mktemp("whole"))
    learn.fit_one_cycle(N_EPOCH, 1e-2)
    return json.loads(json.dumps(result(learn)))


class At(Callback):
    """Does something after so many batches, and again after so many more."""

    only_watches, passes = True, ("fit",)

    def __init__(self, batch: int, do, again: int = 0) -> None:
        self.left, self.do, self.again = batch, do, again

    def after_batch(self) -> None:
        self.left -= 1
        if not self.left:
            self.do()
            self.left, self.again = self.again, 0


def train_on_a_disk_that_fills(folder: Path) -> None:
    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, resource.RLIM_INFINITY))

    learn = learner(folder, cbs=(At(40, fill),))
    learn.fit_one_cycle(N_EPOCH, 1e-2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    (folder / "result.json").write_text(json.dumps(result(learn)))


def test_when_the_disk_is_full_training_goes_on_and_old_checkpoints_are_kept(tmp_path: Path, expected: dict) -> None:
    process = Process(train_on_a_disk_that_fills, tmp_path)
    assert process.wait() == 0, process.output
    assert json.loads((tmp_path / "result.json").read_text()) == expected
    assert process.output.count("no checkpoint is written") == 1, "once for each cause"
    assert os.strerror(errno.EFBIG) in process.output
    assert numbers(tmp_path) == [12, 11, 10]
    assert not list((tmp_path / "checkpoints").glob(".checkpoint-*")), "nothing half written is left"
    rest = learner(tmp_path)
    rest.fit_one_cycle(N_EPOCH, 1e-2, resume=True)
    assert json.loads(json.dumps(result(rest))) == expected


def test_a_folder_that_cannot_be_made_is_a_warning(tmp_path: Path, expected: dict) -> None:
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    learn = learner(tmp_path)
    with pytest.warns(UserWarning, match=r"no checkpoint is written to .*: File exists\. Training goes on"):
        learn.fit_one_cycle(N_EPOCH, 1e-2)
    assert json.loads(json.dumps(result(learn))) == expected


def train_as_one_who_may_not_write(folder: Path) -> None:
    if os.geteuid() == 0:  # who may write everywhere
        os.setgroups([])
        os.setuid(65534)
    learner(folder).fit(1)


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir(mode=0o500)
    process = Process(train_as_one_who_may_not_write, tmp_path)
    assert process.wait() == 0, process.output
    assert "Permission denied. Training goes on" in process.output


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    first = Process(train, tmp_path, pause=0.2)
    while not (tmp_path / "checkpoints" / ".lock").exists() or not (tmp_path / "checkpoints/.lock").read_text():
        time.sleep(0.01)
    with pytest.raises(ConfigError, match=rf"another process \(number {first.pid}\) writes its checkpoints there"):
        learner(tmp_path).fit(1)
    first.send(signal.SIGKILL)
    first.wait()
    with warnings.catch_warnings(action="ignore"):  # of what the first one has left
        learner(tmp_path).fit(1)


def test_a_second_learner_is_refused(tmp_path: Path) -> None:
    other = learner(tmp_path)
    learn = learner(tmp_path, cbs=(At(1, lambda: other.fit(1)),))
    with pytest.raises(ConfigError, match="another learner of this process writes its checkpoints there"):
        learn.fit(1)


def kill_a_worker() -> None:
    """Kill the one that was started last: what other tests have left behind is older."""
    os.kill(max(worker.pid or 0 for worker in multiprocessing.active_children()), signal.SIGKILL)


def test_a_killed_worker_is_explained_and_nothing_is_lost(tmp_path: Path, expected: dict) -> None:
    learn = learner(tmp_path, workers=2, cbs=(At(50, kill_a_worker),))
    with pytest.raises((RuntimeError, ConnectionError, EOFError)) as caught:  # torch tells it, or the pipe does
        learn.fit_one_cycle(N_EPOCH, 1e-2)
    assert any("for lack of memory" in note for note in caught.value.__notes__)
    learn.fit_one_cycle(N_EPOCH, 1e-2, resume=True)  # the same cell again
    assert json.loads(json.dumps(result(learn))) == expected


def test_killed_workers_are_replaced_if_asked_and_nothing_is_lost(tmp_path: Path, expected: dict) -> None:
    learn = learner(tmp_path, workers=2, restarts=1, cbs=(At(20, kill_a_worker, 30),))
    with pytest.warns(UserWarning, match="a worker process has died") as told:
        learn.fit_one_cycle(N_EPOCH, 1e-2)
    assert len(told) == 2
    assert json.loads(json.dumps(result(learn))) == expected


def train_as_a_group(folder: Path) -> None:
    os.setpgid(0, 0)
    train(folder, workers=2, pause=0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_group_that_is_asked_to_stop_ends_its_batch_though_workers_are_asked_too(
    tmp_path: Path, expected: dict, number: int
) -> None:
    """As by Ctrl-C in a terminal, and by whatever ends the jobs of a cluster."""
    process = Process(train_as_a_group, tmp_path)
    while not (tmp_path / "checkpoints").is_dir() or not numbers(tmp_path):
        time.sleep(0.01)
    os.killpg(process.pid, number)
    assert process.wait() == 75, process.output
    assert "with resume=True training goes on there" in process.output
    rest = learner(tmp_path)
    rest.fit_one_cycle(N_EPOCH, 1e-2, resume=True)
    assert json.loads(json.dumps(result(rest))) == expected


class Files(Dataset):
    """Items that are read from files."""

    def __init__(self, folder: Path) -> None:
        self.items = sorted(folder.glob("*.json"))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.tensor(json.loads(self.items[number].read_text()))
        return x, (x[0] > 0).long()


def test_a_file_that_is_deleted_is_named_and_training_goes_on_when_it_is_back(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for number, row in enumerate(torch.randn(64, 4).tolist()):
        (data / f"{number:02}.json").write_text(json.dumps(row))

    def on_files(folder: str, *cbs: Callback) -> Learner:
        torch.manual_seed(0)
        files = Files(data)
        dls = DataLoaders(DataLoader(files, 4, shuffle=True), DataLoader(files, 16), device="cpu")
        cbs = [Checkpoint("checkpoints", every=5), *cbs]
        return Learner(dls, torch.nn.Linear(4, 2), torch.nn.CrossEntropyLoss(), path=tmp_path / folder, cbs=cbs)

    whole = on_files("whole")
    whole.fit(3)
    lost = data / "17.json"
    learn = on_files("cut", At(25, lambda: lost.rename(tmp_path / "gone")))
    with pytest.raises(FileNotFoundError) as caught:
        learn.fit(3)
    assert any("17.json" in note for note in caught.value.__notes__)
    (tmp_path / "gone").rename(lost)
    rest = on_files("cut")
    rest.fit(3, resume=True)
    assert rest.recorder.batch_losses == whole.recorder.batch_losses
    assert torch.equal(rest.model.weight, whole.model.weight)


def spoil(learn: Learner) -> None:
    with torch.no_grad():
        learn.model[0].weight[0, 0] = float("nan")


def test_weights_that_are_no_numbers_are_not_written(tmp_path: Path) -> None:
    learn = learner(tmp_path)
    learn.remove_cb(EMA)
    learn.add_cb(At(40, lambda: spoil(learn)))
    with pytest.warns(UserWarning, match=r"weights are no numbers any more \(0.weight"):
        learn.fit_one_cycle(N_EPOCH, 1e-2, cbs=TerminateOnNaNCallback)
    assert numbers(tmp_path) == [12, 11, 10]
    learn.load(tmp_path / "checkpoints/checkpoint-00000012/model")
    assert torch.isfinite(learn.model[0].weight).all()


def test_a_clock_that_is_turned_back_changes_nothing(tmp_path: Path, expected: dict) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learner(tmp_path, cbs=(At(50, stop),)).fit_one_cycle(N_EPOCH, 1e-2)
    newest = tmp_path / "checkpoints" / f"checkpoint-{numbers(tmp_path)[0]:08}"
    for path in [newest, *newest.iterdir()]:
        os.utime(path, (0, 0))  # as if it had been written in 1970, long before the others
    learn = learner(tmp_path)
    learn.fit_one_cycle(N_EPOCH, 1e-2, resume=True)
    assert json.loads(json.dumps(result(learn))) == expected
    assert numbers(tmp_path)[0] > 15


@pytest.mark.parametrize("damage", ["cut short", "other bytes", "no manifest", "a file is gone"])
def test_a_damaged_checkpoint_is_left_out_with_a_warning(tmp_path: Path, expected: dict, damage: str) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learner(tmp_path, cbs=(At(30, stop),)).fit_one_cycle(N_EPOCH, 1e-2)
    newest = tmp_path / "checkpoints" / f"checkpoint-{numbers(tmp_path)[0]:08}"
    file = newest / "training.safetensors"
    content = file.read_bytes()
    match damage:
        case "cut short":
            file.write_bytes(content[: len(content) // 2])
        case "other bytes":
            file.write_bytes(content[:-100] + bytes(100))
        case "no manifest":
            (newest / "manifest.json").unlink()
        case "a file is gone":
            file.unlink()
    learn = learner(tmp_path)
    with pytest.warns(UserWarning, match="a checkpoint was left out"):
        learn.fit_one_cycle(N_EPOCH, 1e-2, resume=True)
    assert json.loads(json.dumps(result(learn))) == expected


def test_a_folder_without_a_whole_checkpoint_is_an_error_where_it_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "checkpoint-00000001").mkdir(parents=True)
    with pytest.raises(DataError, match="no checkpoint that is whole"), warnings.catch_warnings(action="ignore"):
        learner(tmp_path).fit(1, resume=tmp_path / "checkpoints")
    with pytest.raises(DataError, match="no such folder"):
        learner(tmp_path).fit(1, resume="nowhere")
