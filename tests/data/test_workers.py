"""A worker process that is killed is replaced, if asked, and what it owed is made again: the same."""

import os
import signal
import time
from pathlib import Path

import pytest
import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from laminar.core.errors import ConfigError
from laminar.data import DataLoader

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills processes as POSIX does")

DEATH = (RuntimeError, ConnectionError, EOFError)  # torch tells it, or what connected the processes does


class Noise(Dataset):
    """Draws each item; the first process that makes one of `deadly` dies of it, and leaves a note."""

    def __init__(self, notes: Path, *deadly: int, always: bool = False, by: int = 9) -> None:
        self.notes, self.deadly, self.always, self.by = notes, deadly, always, by

    def __len__(self) -> int:
        return 40

    def __getitem__(self, number: int) -> torch.Tensor:
        note = self.notes / str(number)
        if number in self.deadly and get_worker_info() is not None and (self.always or not note.exists()):
            note.touch()
            time.sleep(0.2)  # the batch before has left the process: what holds a lock when it dies delays the others
            os.kill(os.getpid(), self.by)
        return torch.rand(3) + number


def epochs(dataset: Dataset, count: int = 1, **options) -> list[torch.Tensor]:
    loader = DataLoader(dataset, bs=4, shuffle=True, seed=5, **options)
    return [batch for _ in range(count) for batch in loader]


@pytest.mark.parametrize("options", [{}, {"persistent_workers": True}], ids=str)
def test_dead_workers_are_replaced_and_nothing_is_lost_or_made_otherwise(tmp_path: Path, options: dict) -> None:
    expected = epochs(Noise(tmp_path), 2)
    before, listener = torch.get_rng_state(), signal.getsignal(signal.SIGCHLD)
    with pytest.warns(UserWarning, match=r"a worker process has died \(number \d+, by SIGKILL\)") as told:
        found = epochs(Noise(tmp_path, 7, 21), 2, num_workers=2, restart_workers=2, **options)
    assert torch.equal(torch.stack(found), torch.stack(expected))
    assert 1 <= len(told) <= 2, "one warning for each time"
    assert torch.equal(torch.get_rng_state(), before)
    assert signal.getsignal(signal.SIGCHLD) is listener or not callable(listener)


def killing_a_worker_after(count: int, loader: DataLoader) -> list[torch.Tensor]:
    found = []
    for batch in loader:
        found.append(batch)
        if len(found) == count:
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            os.kill(int(children[-1]), signal.SIGKILL)
            end = time.monotonic() + 0.3
            while time.monotonic() < end:  # the signal of its death arrives here
                torch.ones(10).sum()
    return found


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds its workers as Linux does")
def test_a_death_while_others_work_does_not_interrupt_them(tmp_path: Path) -> None:
    """Torch tells it in the middle of whatever runs; here that is a step of the training."""
    expected = epochs(Noise(tmp_path))
    loader = DataLoader(Noise(tmp_path), bs=4, shuffle=True, seed=5, num_workers=2, restart_workers=1)
    with pytest.warns(UserWarning, match="go on with batch"):
        found = killing_a_worker_after(2, loader)
    assert torch.equal(torch.stack(found), torch.stack(expected))


def test_an_item_that_always_kills_ends_the_epoch(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="by SIGSEGV") as told, pytest.raises(DEATH):
        epochs(Noise(tmp_path, 7, always=True, by=signal.SIGSEGV), num_workers=1, restart_workers=2)
    assert len(told) == 2


def test_without_being_asked_no_process_is_replaced(tmp_path: Path) -> None:
    with pytest.raises(DEATH):
        epochs(Noise(tmp_path, 7), num_workers=2)


def test_an_error_of_the_data_is_no_death(tmp_path: Path) -> None:
    class Broken(Noise):
        def __getitem__(self, number: int) -> torch.Tensor:
            raise RuntimeError("a bad item")

    with pytest.raises(RuntimeError, match="a bad item"):
        epochs(Broken(tmp_path), num_workers=1, restart_workers=3)


def test_what_cannot_be_restarted_is_refused() -> None:
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(range(3))

    with pytest.raises(ConfigError, match="restart_workers needs items by number"):
        DataLoader(Stream(), bs=1, restart_workers=1)
    with pytest.raises(ConfigError, match="restart_workers=-1"):
        DataLoader(range(3), bs=1, restart_workers=-1)
