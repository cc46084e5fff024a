"""The same fine-tuning with laminar and with fastai: validation accuracy and wall time for each seed.

Photos from a folder or archive with `train` and `validation`, ImageNet weights from a safetensors file,
RandomResizedCrop and aug_transforms, one frozen epoch and `--epochs` unfrozen ones. Every run has a process of its own,
and the two frameworks take turns. Wall time is that of `fine_tune`, validation after each epoch included.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean

from photos import photo_folder
from rounds import print_table

ARCHITECTURES = ("squeezenet1_1", "mobilenet_v2", "resnet18")
Result = dict[str, float]


def timed_fine_tune(learn, args: argparse.Namespace) -> Result:
    """Fine-tune `learn` and report; both frameworks understand the same two calls."""
    start = time.perf_counter()
    learn.fine_tune(args.epochs)
    seconds = time.perf_counter() - start
    loss, accuracy = learn.validate()
    return {"seconds": seconds, "loss": float(loss), "accuracy": float(accuracy)}


# ---- laminar ---------------------------------------------------------------------------------------------------------


def laminar_run(path: Path, args: argparse.Namespace) -> Result:
    from torchvision import models

    from laminar.vision import all as laminar

    laminar.set_seed(args.seed)
    dls = laminar.ImageDataLoaders.from_folder(
        path,
        valid="validation",
        item_tfms=laminar.RandomResizedCrop(args.size),
        batch_tfms=laminar.aug_transforms(),
        bs=args.bs,
        num_workers=args.workers,
    )
    learn = laminar.vision_learner(dls, getattr(models, args.arch), weights=args.weights, metrics=laminar.accuracy)
    if args.bf16:
        learn.to_bf16()
    return timed_fine_tune(learn, args)


# ---- fastai ----------------------------------------------------------------------------------------------------------


def fastai_architecture(name: str, weights: str) -> Callable[..., object]:
    """An architecture as fastai takes it, a function of `weights`, that loads them from the file.

    What fastai knows of torchvision's own function (where to cut, how to split into groups, which statistics) holds for
    this one too; for MobileNetV2, which fastai does not know, it is said here.
    """
    from fastai.vision.core import imagenet_stats
    from fastai.vision.learner import default_split, model_meta
    from safetensors.torch import load_file
    from torchvision import models

    def architecture(weights_: object = None, **_: object) -> object:
        model = getattr(models, name)()
        model.load_state_dict(load_file(weights))
        return model

    unknown = {"cut": -1, "split": default_split, "stats": imagenet_stats}
    model_meta[architecture] = model_meta.get(getattr(models, name), unknown)
    return architecture


def fastai_run(path: Path, args: argparse.Namespace) -> Result:
    from fastai.vision import all as fastai

    fastai.set_seed(args.seed)
    dls = fastai.ImageDataLoaders.from_folder(
        path,
        valid="validation",
        item_tfms=fastai.RandomResizedCrop(args.size),
        batch_tfms=fastai.aug_transforms(),
        bs=args.bs,
        num_workers=args.workers,
        device="cpu",
    )
    learn = fastai.vision_learner(dls, fastai_architecture(args.arch, args.weights), metrics=fastai.accuracy)
    if args.bf16:
        learn.to_bf16()
    with learn.no_bar(), learn.no_logging():
        return timed_fine_tune(learn, args)


RUNS = {"laminar": laminar_run, "fastai": fastai_run}


# ---- taking turns ----------------------------------------------------------------------------------------------------


def run_here(framework: str, path: Path, args: argparse.Namespace) -> None:
    """Run once, in this process, and print the result as the last line."""
    import warnings

    import torch

    torch.set_num_threads(args.threads)
    warnings.simplefilter("ignore")
    print(json.dumps(RUNS[framework](path, args)))


def run_in_process(framework: str, seed: int, path: Path) -> Result:
    """Run once, in a process of its own, with the options of this one."""
    own = ["--data", str(path), "--child", framework, "--seed", str(seed)]
    command = [sys.executable, __file__, *sys.argv[1:], *own]  # what is given twice counts the second time
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: Result = json.loads(done.stdout.splitlines()[-1])
    print(f"{framework} seed {seed}: {json.dumps(result)}", file=sys.stderr, flush=True)
    return result


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder or archive with train/ and validation/ (else LAMINAR_BENCH_DATA)")
    parser.add_argument("--weights", required=True, help="safetensors file with a torchvision state dict")
    parser.add_argument("--arch", choices=ARCHITECTURES, help="default: the name of the weights' file")
    parser.add_argument("--framework", choices=[*RUNS, "both"], default="both")
    parser.add_argument("--size", type=int, default=128, help="pixels")
    parser.add_argument("--epochs", type=int, default=2, help="unfrozen epochs, after one frozen")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--bs", type=int, default=64)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bf16", action="store_true", help="call to_bf16() on both")
    parser.add_argument("--child", choices=RUNS, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not Path(args.weights).is_file():
        parser.error(f"--weights: there is no file {args.weights!r}")
    args.weights = os.path.abspath(args.weights)
    args.arch = args.arch or Path(args.weights).stem
    if args.arch not in ARCHITECTURES:
        parser.error(f"--arch is needed: the file is called {args.arch!r}, not one of {', '.join(ARCHITECTURES)}")
    return args


def main() -> None:
    args = arguments()
    with photo_folder(args.data) as path:
        if args.child:
            run_here(args.child, path, args)
            return
        if not (path / "validation").is_dir():
            raise SystemExit(f"{path} has no folder validation/; --data takes photos in train/ and validation/")
        frameworks = list(RUNS) if args.framework == "both" else [args.framework]
        results: dict[str, list[Result]] = {framework: [] for framework in frameworks}
        for seed in range(args.seeds):
            for framework in frameworks:
                results[framework].append(run_in_process(framework, seed, path))
    report(results, args)


def report(results: dict[str, list[Result]], args: argparse.Namespace) -> None:
    rows = [
        [
            framework,
            f"{mean(run['accuracy'] for run in runs):.3f}",
            " ".join(f"{run['accuracy']:.3f}" for run in runs),
            f"{mean(run['seconds'] for run in runs):.1f}",
            " ".join(f"{run['seconds']:.1f}" for run in runs),
        ]
        for framework, runs in results.items()
    ]
    precision = ", to_bf16()" if args.bf16 else ""
    print_table(
        f"{args.arch}, {args.size} pixels, fine_tune({args.epochs}){precision}: batches of {args.bs}, "
        f"{args.workers} workers, threads {args.threads}",
        ["", "accuracy", "each seed", "seconds", "each seed"],
        rows,
    )
    if len(results) == len(RUNS):
        laminar, fastai = (mean(run["seconds"] for run in results[name]) for name in RUNS)
        print(f"\nlaminar takes {laminar / fastai:.0%} of fastai's time")


if __name__ == "__main__":
    main()
