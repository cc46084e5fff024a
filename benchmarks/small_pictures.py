"""One epoch from small JPEG files to a trained network, with laminar and with fastai: wall time and accuracy.

A folder or archive with `train` and `test` (a folder for each class in both), such as CIFAR-10 as files, or glyphs
drawn on the spot: 5,000 for training, of 32 pixels. Included: reading and decoding files, `aug_transforms()`,
normalisation, a network of three convolutions with batch norm, Adam as everybody's users get it, starting the workers,
and validation on all test files. Not included: imports and finding the files. Runs take turns, each in a process of its
own; the program is the same for both but for the import.
"""

import argparse
import json
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

from photos import only_folder
from rounds import print_table

FRAMEWORKS = ("laminar", "fastai")
MEAN, STD = (0.491, 0.482, 0.447), (0.247, 0.243, 0.261)


@contextmanager
def pictures(data: str) -> Iterator[Path]:
    """A folder of pictures for as long as the context lasts: the one given, an archive's, or drawn."""
    if data and Path(data).is_dir():
        yield Path(data)
        return
    with TemporaryDirectory(prefix="laminar-bench-") as folder:
        if data:
            with tarfile.open(data) as archive:
                archive.extractall(folder, filter="data")
        else:
            from laminar.data.glyphs import make_glyphs

            make_glyphs(folder, "ABCDEFGHIJ", per_class=500, valid_per_class=100, size=32)
            Path(folder, "valid").rename(Path(folder, "test"))
        yield only_folder(Path(folder))


def run_here(name: str, path: Path, seed: int, args: argparse.Namespace) -> dict[str, float]:
    """Train once, in this process."""
    import warnings

    import torch
    from torch import nn

    framework = import_module(f"{name}.vision.all")
    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    framework.set_seed(seed)

    def stage(n_in: int, n_out: int) -> list[nn.Module]:
        return [nn.Conv2d(n_in, n_out, 3, 2, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]

    dls = framework.ImageDataLoaders.from_folder(
        path, valid="test", bs=64, num_workers=args.workers, device="cpu",
        batch_tfms=[*framework.aug_transforms(), framework.Normalize.from_stats(MEAN, STD)],
    )  # fmt: skip
    model = nn.Sequential(
        *stage(3, 16), *stage(16, 32), *stage(32, 64), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, dls.c)
    )
    learn = framework.Learner(dls, model, metrics=framework.accuracy)
    with learn.no_bar(), learn.no_logging():
        start = time.perf_counter()
        learn.fit_one_cycle(args.epochs, 1e-2)
        seconds = time.perf_counter() - start
        loss, accuracy = learn.validate()
    return {"seconds": seconds, "loss": float(loss), "accuracy": float(accuracy)}


def run_in_process(name: str, path: Path, seed: int, workers: int) -> dict[str, float]:
    """Train once, in a process of its own, with the options of this one."""
    own = ["--data", str(path), "--child", name, "--seed", str(seed), "--workers", str(workers)]
    command = [sys.executable, __file__, *sys.argv[1:], *own]  # what is given twice counts the second time
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"{name}, {workers} workers, seed {seed}: {json.dumps(result)}", file=sys.stderr, flush=True)
    return result


def compare(path: Path, workers: int, seeds: int) -> list[list[str]]:
    """Rows of the table: every framework from every seed."""
    results: dict[str, list[dict[str, float]]] = {name: [] for name in FRAMEWORKS}
    for seed in range(seeds):
        for name in FRAMEWORKS if seed % 2 == 0 else FRAMEWORKS[::-1]:
            results[name].append(run_in_process(name, path, seed, workers))
    seconds = {name: median(result["seconds"] for result in runs) for name, runs in results.items()}
    return [
        [
            name,
            str(workers),
            f"{seconds[name]:.2f}",
            f"{seconds[name] / seconds['fastai']:.2f}",
            f"{mean(result['accuracy'] for result in runs):.3f}",
        ]
        for name, runs in results.items()
    ]


def main() -> None:
    """Take turns and print, or run once as a child."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="", help="folder or archive with train/ and test/; without, glyphs are drawn")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--workers", type=int, choices=(0, 2), help="measure this number only")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", choices=FRAMEWORKS, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    with pictures(args.data) as path:
        if args.child:
            print(json.dumps(run_here(args.child, path, args.seed, args)))
            return
        rows = [
            row for workers in (0, 2) if args.workers in (None, workers) for row in compare(path, workers, args.seeds)
        ]
        print_table(
            f"{args.epochs} epoch(s), {args.seeds} seeds: median of seconds, mean of accuracies",
            ["", "workers", "seconds", "times fastai", "accuracy"],
            rows,
        )


if __name__ == "__main__":
    main()
