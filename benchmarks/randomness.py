"""What addressed randomness costs: seconds for the same batches with and without it, in this process, one thread.

Three loaders over the same tensors in memory: the transform promises to draw nothing (so nothing is seeded), the same
without the promise (each item seeds Python's, numpy's and torch's generators), and one that really draws. Beside them
torch's own loader with the transform in the data set. The figure is microseconds for each item.
"""

import argparse
import random
from collections.abc import Callable
from statistics import median

import torch
import torch.utils.data as torch_data
from rounds import interleaved, median_ratio, print_table
from torch import Tensor

from laminar.core import Transform
from laminar.data import DataLoader

Contender = Callable[[], object]


class Quiet(Transform):
    deterministic = True

    def encodes(self, x: Tensor) -> Tensor:
        return x + 1


class Unknown(Quiet):
    deterministic = False


class Draws(Transform):
    def encodes(self, x: Tensor) -> Tensor:
        return x + random.random()


class Mapped(torch_data.Dataset[Tensor]):
    def __init__(self, rows: list[Tensor]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Tensor:
        return self.rows[index] + random.random()


def all_batches(loader: object) -> Contender:
    def go() -> object:
        for _ in loader:  # type: ignore[attr-defined]
            pass
        return None

    return go


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = list(torch.zeros(options.items, 8))
    contenders: dict[str, Contender] = {
        f"laminar, {name}": all_batches(DataLoader(rows, 64, after_item=step, split_idx=0, seed=1))
        for name, step in (("draws nothing", Quiet()), ("may draw", Unknown()), ("draws", Draws()))
    }
    contenders["torch, draws"] = all_batches(torch_data.DataLoader(Mapped(rows), 64))
    seconds = interleaved(contenders, options.rounds)
    rows_told = [
        [
            name,
            f"{median(taken) * 1e6 / options.items:.2f}",
            f"{median_ratio(seconds, name, 'laminar, draws nothing'):.2f}",
        ]
        for name, taken in seconds.items()
    ]
    print_table("Randomness that belongs to items", ["loader", "us an item", "times drawing nothing"], rows_told)


if __name__ == "__main__":
    main()
