"""Arrays in memory to batches: items a second, one process, one thread.

Rows of a float32 array and their class numbers, as `Datasets` with a pipeline for each, shuffled, in batches of 64 on
the CPU. laminar indexes the arrays once for a batch; with a transform of the user's it goes item by item, which is
measured too. fastai's `Datasets` get a row by number. torch's loader over a `TensorDataset` is there for orientation.
"""

import argparse
from collections.abc import Callable, Iterable
from statistics import median

import torch
from rounds import interleaved, median_ratio, print_table
from torch import Tensor

BATCH = 64
Contender = Callable[[], object]


def consume(batches: Iterable[tuple[Tensor, ...]], n: int) -> None:
    """Go through the batches and make sure that they are what was to be made."""
    seen = 0
    for rows, classes in batches:
        assert rows.dtype == torch.float32, rows.dtype
        assert len(rows) == len(classes)
        seen += len(rows)
    assert seen == n, f"{seen} items instead of {n}"


def laminar_at_once(rows: Tensor, classes: Tensor) -> Contender:
    from laminar.data import DataLoader, Datasets, TfmdLists

    datasets = Datasets(tls=[TfmdLists(rows), TfmdLists(classes)])
    loader = DataLoader(datasets, BATCH, shuffle=True)
    return lambda: consume(loader, len(rows))


def laminar_by_item(rows: Tensor, classes: Tensor) -> Contender:
    from laminar.core.random import deterministic
    from laminar.data import DataLoader, Datasets

    steps = [[deterministic(lambda i: rows[i])], [deterministic(lambda i: classes[i])]]
    loader = DataLoader(Datasets(range(len(rows)), steps), BATCH, shuffle=True)
    return lambda: consume(loader, len(rows))


def fastai_by_item(rows: Tensor, classes: Tensor) -> Contender:
    from fastai.data.core import Datasets

    numbers = range(len(rows))
    datasets = Datasets(list(numbers), [[rows.__getitem__], [classes.__getitem__]], splits=[list(numbers), []])
    loaders = datasets.dataloaders(bs=BATCH, drop_last=False, num_workers=0, device=torch.device("cpu"))
    return lambda: consume(loaders.train, len(rows))


def torch_by_item(rows: Tensor, classes: Tensor) -> Contender:
    dataset = torch.utils.data.TensorDataset(rows, classes)
    loader = torch.utils.data.DataLoader(dataset, BATCH, shuffle=True)
    return lambda: consume(loader, len(rows))


CONTENDERS: dict[str, Callable[[Tensor, Tensor], Contender]] = {
    "fastai": fastai_by_item,
    "laminar": laminar_at_once,
    "laminar, functions of a number": laminar_by_item,
    "torch, TensorDataset": torch_by_item,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=32, help="numbers in a row")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="+", help="words that choose among the contenders")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows, classes = torch.rand(args.items, args.width), torch.randint(10, (args.items,))
    names = [name for name in CONTENDERS if not args.only or any(word in name for word in args.only)]
    seconds = interleaved({name: CONTENDERS[name](rows, classes) for name in names}, args.rounds)
    print_table(
        f"{args.items} rows of {args.width} in batches of {BATCH}, median of {args.rounds} rounds",
        ["", "items a second", f"times {names[0]}"],
        [
            [name, f"{args.items / median(taken):.0f}", f"{1 / median_ratio(seconds, name, names[0]):.2f}"]
            for name, taken in seconds.items()
        ],
    )


if __name__ == "__main__":
    main()
