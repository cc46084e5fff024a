"""What does weight decay do under batch normalisation? ``python -m laminar.studies.weight_decay --help``

A norm behind a layer takes the length of its weights out of the function. Van Laarhoven ("L2 Regularization versus
Batch and Weight Normalization", 2017) and Hoffer et al. ("Norm matters", 2018) conclude that weight decay then only
keeps the weights short, and by that the effective learning rate, lr / |w|^2, high. If that is all, a run without weight
decay whose learning rate follows the norm must do as well as one with it, step by step; without a norm it must not.

Six treatments, with and without batch norm, each from several seeds: no decay, little, much, no decay with the rate of
each layer following the norms of the run with little (with much) decay from the same seed, and, as a yardstick, much
decay from weights that were changed by a millionth: two runs that are the same by arithmetic go as far apart as that.
Decay and rates that follow are on the convolutions alone; the last layer, which no norm follows, is treated alike in
all. Rates stay as they are over the whole run.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from laminar.studies.drawing import draw_study
from laminar.studies.pictures import Pictures, load_pictures
from laminar.studies.weight_decay_results import cosines, table
from laminar.studies.weight_decay_runs import Plan, Run, Treatment, train

__all__ = ["TREATMENTS", "main", "run_all"]

TREATMENTS = (
    Treatment("no decay"),
    Treatment("little decay", "little"),
    Treatment("much decay", "much"),
    Treatment("rate follows little", None, "little"),
    Treatment("rate follows much", None, "much"),
    Treatment("much decay, nudged", "much", nudge=1e-6),
)


def run_all(pictures: Pictures, plan: Plan, seeds: Sequence[int], say: Any = print) -> list[Run]:
    """Train all treatments with and without batch norm, from all seeds.

    Args:
        pictures: the data.
        plan: how.
        seeds: one run of each for each.
        say: called with a line for each run.
    """
    runs: list[Run] = []
    for seed in seeds:
        for batch_norm in (True, False):
            done: dict[str, Run] = {}
            by_decay: dict[str | None, Run] = {}
            for treatment in TREATMENTS:
                run = train(pictures, plan, treatment, batch_norm, seed, by_decay.get(treatment.follows))
                done[treatment.name] = run
                if treatment.decay:
                    by_decay.setdefault(treatment.decay, run)
                norm = "batch norm" if batch_norm else "no norm"
                result = f"accuracy {run.last('accuracies'):.4f}  loss {run.last('train_loss'):.4f}"
                say(f"{norm:<11} seed {seed}  {treatment.name:<20} {result}")
            for run in done.values():
                to = {name: cosines(run, done[name]) for name in ("little decay", "much decay")}
                runs.append(replace(run, cosines=to, every_norm=[], ends=[]))
    return runs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study and write down what came of it, anew after each seed.

    Args:
        arguments: of the command line; None for this process's.
    """
    from_command = argparse.ArgumentParser(
        prog="python -m laminar.studies.weight_decay", description=__doc__.split("\n")[0]
    )
    from_command.add_argument("--data", help="folder or archive with train/class/picture and test/class/picture")
    from_command.add_argument("--seeds", type=int, default=3, help="runs of each treatment")
    from_command.add_argument("--epochs", type=int, default=Plan.epochs)
    from_command.add_argument("--per-class", type=int, help="training pictures of each class, all by default")
    from_command.add_argument("--momentum", type=float, default=Plan.momentum)
    from_command.add_argument("--out", type=Path, default=Path("weight_decay_study"), help="folder for what is written")
    given = from_command.parse_args(arguments)
    pictures = load_pictures(given.data, given.per_class)
    plan = Plan(epochs=given.epochs, momentum=given.momentum)
    given.out.mkdir(parents=True, exist_ok=True)
    runs: list[Run] = []
    for seed in range(given.seeds):
        runs += run_all(pictures, plan, [seed])
        _write(plan, runs, given.out)
    print(table(runs))
    return 0


def _write(plan: Plan, runs: Sequence[Run], folder: Path) -> None:
    text = json.dumps({"plan": asdict(plan), "runs": [asdict(run) for run in runs]})
    (folder / "runs.json").write_text(text, encoding="utf-8")
    (folder / "table.md").write_text(table(runs) + "\n", encoding="utf-8")
    draw_study(runs, folder / "study.png")


if __name__ == "__main__":
    raise SystemExit(main())
