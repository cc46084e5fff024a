"""Benchmarks of whole trainings: every run has a process of its own, frameworks take turns, one table at the end."""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import mean

from photos import photo_folder
from rounds import print_table

Result = dict[str, float]
Runs = Mapping[str, Callable[[Path, argparse.Namespace], Result]]


def training_parser(doc: str | None, frameworks: Runs, *, size: int, epochs: int, bs: int) -> argparse.ArgumentParser:
    """The options that all trainings have, with these defaults."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder or archive (else LAMINAR_BENCH_DATA)")
    parser.add_argument("--weights", required=True, help="safetensors file with a state dict")
    parser.add_argument("--framework", choices=[*frameworks, "both"], default="both")
    parser.add_argument("--size", type=int, default=size, help="pixels")
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--bs", type=int, default=bs)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--child", choices=list(frameworks), help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    return parser


def clock(args: argparse.Namespace) -> float:
    """Seconds: of the processor where this process does all the work, so that a busy machine matters less."""
    return time.perf_counter() if args.workers else time.process_time()


def take_turns(parser: argparse.ArgumentParser, runs: Runs, needs: str, figure: str, title: str) -> None:
    """Run each framework with each seed, and print `figure` and seconds; in a process made for one run, do that run.

    Args:
        parser: see `training_parser`.
        runs: for each framework what trains once, and gives seconds and `figure`.
        needs: a folder or file that the data must have.
        figure: the name of what is reached, among the results.
        title: over the table; may name options in braces.
    """
    args = parser.parse_args()
    if not Path(args.weights).is_file():
        parser.error(f"--weights: there is no file {args.weights!r}")
    args.weights = os.path.abspath(args.weights)
    with photo_folder(args.data) as path:
        if not (path / needs).exists():
            raise SystemExit(f"{path} has no {needs}; see --help for what --data takes")
        if args.child:
            run_here(runs[args.child], path, args)
            return
        frameworks = list(runs) if args.framework == "both" else [args.framework]
        results: dict[str, list[Result]] = {framework: [] for framework in frameworks}
        for seed in range(args.seeds):
            for framework in frameworks:
                results[framework].append(run_in_process(framework, seed, path))
        seconds = "seconds" if args.workers else "seconds of the processor"
        report(results, figure, seconds, title.format(**{**vars(args), "weights": Path(args.weights).stem}))


def run_here(run: Callable[[Path, argparse.Namespace], Result], path: Path, args: argparse.Namespace) -> None:
    """Run once, in this process, and print the result as the last line."""
    import torch

    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    print(json.dumps(run(path, args)))


def run_in_process(framework: str, seed: int, path: Path) -> Result:
    """Run once, in a process of its own, with the options of this one."""
    own = ["--data", str(path), "--child", framework, "--seed", str(seed)]
    command = [sys.executable, *sys.argv, *own]  # what is given twice counts the second time
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: Result = json.loads(done.stdout.splitlines()[-1])
    print(f"{framework} seed {seed}: {json.dumps(result)}", file=sys.stderr, flush=True)
    return result


def report(results: Mapping[str, list[Result]], figure: str, seconds: str, title: str) -> None:
    """Print means and single runs, and the ratio of the times where there are two frameworks."""
    rows = [
        [
            framework,
            f"{mean(run[figure] for run in runs):.3f}",
            " ".join(f"{run[figure]:.3f}" for run in runs),
            f"{mean(run['seconds'] for run in runs):.1f}",
            " ".join(f"{run['seconds']:.1f}" for run in runs),
        ]
        for framework, runs in results.items()
    ]
    print_table(title, ["", figure, "each seed", seconds, "each seed"], rows)
    if {"laminar", "fastai"} <= results.keys():
        laminar, fastai = (mean(run["seconds"] for run in results[name]) for name in ("laminar", "fastai"))
        print(f"\nlaminar takes {laminar / fastai:.0%} of fastai's time")
