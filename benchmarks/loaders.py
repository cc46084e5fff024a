"""What a loader costs beside its items: starting worker processes, and memory while epochs go by. Linux.

Start: seconds from ``iter(loader)`` to the first batch, over the same small tensors, laminar's loader beside torch's
own (and fastai's, where it is installed); the processes are stopped again outside the clock.

Memory: a list of file names goes through a loader with workers that only look at each name. Printed after each epoch:
the memory of all processes together, each page shared by several counted in parts (proportional set size), for laminar
and for torch's loader over the same list.
"""

import argparse
import gc
import importlib.util
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.utils.data as torch_data
from rounds import print_table

from laminar.data import DataLoader, Datasets


class Rows(torch_data.Dataset[torch.Tensor]):
    """Small tensors."""

    def __len__(self) -> int:
        return 1024

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.full((8,), float(index))


def length_of(file: Path) -> int:
    """Something to know of a name."""
    return len(file.name)


class Lengths(torch_data.Dataset[int]):
    """As torch's users write it: a list of paths in the data set."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> int:
        return length_of(self.files[index])


def fastai_loader(workers: int) -> Any:
    """fastai's loader, which takes the same data set."""
    from fastai.data.load import DataLoader as FastaiLoader

    return FastaiLoader(Rows(), bs=64, num_workers=workers)


def seconds_to_first_batch(make: Callable[[], Any]) -> float:
    """Start the processes of a loader, take one batch, stop them."""
    loader = make()
    gc.collect()
    start = time.perf_counter()
    batches = iter(loader)
    next(batches)
    taken = time.perf_counter() - start
    del batches
    gc.collect()
    return taken


def measure_starts(workers: int, rounds: int) -> None:
    """Print how long each loader takes to its first batch."""
    contenders: dict[str, Callable[[], Any]] = {
        "torch": lambda: torch_data.DataLoader(Rows(), 64, num_workers=workers),
        "laminar": lambda: DataLoader(Rows(), 64, num_workers=workers),
    }
    if importlib.util.find_spec("fastai"):
        contenders["fastai"] = lambda: fastai_loader(workers)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, make in contenders.items():
            taken = seconds_to_first_batch(make)
            if number:
                seconds[name].append(taken)
    print_table(
        f"To the first batch with {workers} workers, median of {rounds} rounds",
        ["", "milliseconds", "times torch"],
        [
            [name, f"{median(taken) * 1e3:.1f}", f"{median(taken) / median(seconds['torch']):.2f}"]
            for name, taken in seconds.items()
        ],
    )


def proportional_set_size() -> int:
    """Bytes of memory of this process and its children, each page shared by several counted in parts."""
    children = Path("/proc/self/task").glob("*/children")
    processes = ["self", *(pid for file in children for pid in file.read_text().split())]
    lines = [line for pid in processes for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def memory_of_epochs(loader: Any, epochs: int) -> list[int]:
    """Memory at the end of each epoch, while the workers still run."""
    sizes = []
    for _ in range(epochs):
        for number, _batch in enumerate(loader, 1):
            if number == len(loader):
                sizes.append(proportional_set_size())
    return sizes


def measure_memory(names: int, workers: int, epochs: int) -> None:
    """Print the memory after each epoch."""
    files = [Path(f"photos/train/class{number % 100:03}/{number:08}.jpg") for number in range(names)]
    loaders = {
        "laminar": DataLoader(Datasets(files, [[length_of]]), 1000, num_workers=workers, shuffle=True),
        "torch": torch_data.DataLoader(Lengths(files), 1000, num_workers=workers, shuffle=True),
    }
    rows = [
        [name, *(f"{size / 2**20:.0f}" for size in memory_of_epochs(loader, epochs))]
        for name, loader in loaders.items()
    ]
    print_table(
        f"MiB of all processes after each epoch: {names} file names, {workers} workers",
        ["", *(f"epoch {number}" for number in range(epochs))],
        rows,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--names", type=int, default=1_000_000, help="file names for the memory")
    parser.add_argument("--epochs", type=int, default=4)
    args = parser.parse_args()
    torch.set_num_threads(1)
    measure_starts(args.workers, args.rounds)
    measure_memory(args.names, args.workers, args.epochs)


if __name__ == "__main__":
    main()
