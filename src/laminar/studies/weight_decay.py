"""What does weight decay do under batch normalisation? ``python -m laminar.studies.weight_decay --help``

A norm behind a layer takes the length of its weights out of the function. Van Laarhoven ("L2 Regularization versus
Batch and Weight Normalization", 2017) and Hoffer et al. ("Norm matters", 2018) conclude that weight decay then only
keeps the weights short, and by that the effective learning rate, lr / |w|^2, high. If that is all, a run without weight
decay whose learning rate follows the norm must do as well as one with it, step by step; without a norm it must not.

Five treatments, with and without batch norm, each from several seeds: no decay, little, much, and no decay with the
rate of each layer following the norms of the run with little (with much) decay from the same seed. Decay and rates that
follow are on the convolutions alone; the last layer, which no norm follows, is treated alike in all.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from laminar.callbacks.base import Callback
from laminar.callbacks.recorder import Recorder
from laminar.callbacks.telemetry.layer_telemetry import LayerTelemetry
from laminar.core.errors import DataError, TrainingError
from laminar.core.seed import set_seed
from laminar.data.external import untar_data
from laminar.data.glyphs import glyph_item
from laminar.learner.learner import Learner
from laminar.metrics.classification import accuracy
from laminar.metrics.intervals import t_quantile
from laminar.nn.losses import CrossEntropyLossFlat
from laminar.optim.optimizers import SGD
from laminar.studies.drawing import draw_study

__all__ = [
    "Pictures",
    "Plan",
    "Run",
    "Treatment",
    "TREATMENTS",
    "load_pictures",
    "main",
    "run_all",
    "train",
    "with_interval",
]


@dataclass(frozen=True)
class Plan:
    """How each run is trained.

    Attributes:
        epochs: passes through the data.
        lr: learning rate with batch norm.
        lr_without_norm: and without.
        momentum: of SGD.
        little: weight decay, added to the gradient. Alone it would halve a weight in about
            0.7 (1 - momentum) / (lr * decay) steps: of the default, 140 for much, 1400 for little.
        much: the same.
        bs: batch size.
        width: channels of the first convolution.
        every: batches between two samples of telemetry.
    """

    epochs: int = 12
    lr: float = 0.1
    lr_without_norm: float = 0.02
    momentum: float = 0.9
    little: float = 5e-4
    much: float = 5e-3
    bs: int = 64
    width: int = 16
    every: int = 10


@dataclass(frozen=True)
class Treatment:
    """What is done to the convolutions.

    Attributes:
        name: in a few words.
        decay: the field of `Plan` with the weight decay; None for none.
        follows: the field with the decay of the run whose norms the rates follow; None to follow nothing.
    """

    name: str
    decay: str | None = None
    follows: str | None = None


TREATMENTS = (
    Treatment("no decay"),
    Treatment("little decay", "little"),
    Treatment("much decay", "much"),
    Treatment("rate follows little", None, "little"),
    Treatment("rate follows much", None, "much"),
)


@dataclass(frozen=True)
class Pictures:
    """Normalised pictures ``[n, 3, 32, 32]`` and classes ``[n]``, for training and for validation."""

    train_x: Tensor
    train_y: Tensor
    valid_x: Tensor
    valid_y: Tensor
    classes: int


@dataclass
class Run:
    """One training.

    Attributes:
        treatment: its name.
        batch_norm: whether norms follow the convolutions.
        seed: of weights and of the order of batches.
        accuracy: on the validation set after the last epoch, 0 to 1; NaN if weights were no numbers any more.
        train_loss: of each epoch, smoothed.
        batches: numbers of the sampled batches.
        norms: norm of each convolution's weights at these, ``[layers][samples]``.
        rates: their effective learning rates, lr / |w|^2.
        spreads: standard deviation of their outputs.
        every_norm: norms at every batch, which other runs follow; not written to files.
    """

    treatment: str
    batch_norm: bool
    seed: int
    accuracy: float
    train_loss: list[float]
    batches: list[int]
    norms: list[list[float]]
    rates: list[list[float]]
    spreads: list[list[float]]
    every_norm: list[list[float]] = field(default_factory=list, repr=False)


# ---- data ------------------------------------------------------------------------------------------------------------


def load_pictures(data: str | Path | None = None, n: int | None = None) -> Pictures:
    """Read pictures of 32 pixels.

    Args:
        data: a folder or an archive with ``train/class/picture`` and ``test/class/picture``; None for embedded glyphs.
        n: take so many of each class for training.

    Raises:
        DataError: there are no such folders.
    """
    if data is None:
        train, valid = _glyphs(range(n or 60)), _glyphs(range(1000, 1040))
    else:
        folder = untar_data(data, show_progress=False)
        train, valid = _folder(folder / "train", n), _folder(folder / "test", None)
    mean, std = train[0].mean((0, 2, 3), keepdim=True), train[0].std((0, 2, 3), keepdim=True)
    return Pictures((train[0] - mean) / std, train[1], (valid[0] - mean) / std, valid[1], int(train[1].max()) + 1)


def _glyphs(numbers: range, characters: str = "ACEHKLTY") -> tuple[Tensor, Tensor]:
    items = [(glyph_item(c, number, size=32).image, y) for number in numbers for y, c in enumerate(characters)]
    return _stacked(items)


def _folder(folder: Path, n: int | None) -> tuple[Tensor, Tensor]:
    classes = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not classes:
        raise DataError(f"{folder}: there are no folders of classes. The study reads train/class/picture and test/...")
    files = [(file, y) for y, path in enumerate(classes) for file in sorted(path.iterdir())[:n]]
    return _stacked([(Image.open(file).convert("RGB").resize((32, 32)), y) for file, y in files])


def _stacked(items: Sequence[tuple[Any, int]]) -> tuple[Tensor, Tensor]:
    pixels = torch.from_numpy(np.stack([np.asarray(picture) for picture, _ in items]))
    return pixels.permute(0, 3, 1, 2).float() / 255, torch.tensor([y for _, y in items])


class _Batches:
    """Batches in an order that depends on the seed and the epoch alone."""

    def __init__(self, x: Tensor, y: Tensor, bs: int, seed: int | None) -> None:
        self.x, self.y, self.bs, self.seed, self.epoch = x, y, bs, seed, 0

    def __len__(self) -> int:
        return len(self.x) // self.bs if self.seed is not None else -(-len(self.x) // self.bs)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.arange(len(self.x))
        if self.seed is not None:
            generator = torch.Generator().manual_seed(1_000_003 * self.seed + self.epoch)
            order, self.epoch = torch.randperm(len(self.x), generator=generator), self.epoch + 1
        for start in range(0, len(self) * self.bs, self.bs):
            rows = order[start : start + self.bs]
            yield self.x[rows], self.y[rows]


class _Loaders(list[Any]):
    def __init__(self, pictures: Pictures, bs: int, seed: int) -> None:
        train = _Batches(pictures.train_x, pictures.train_y, bs, seed)
        super().__init__([train, _Batches(pictures.valid_x, pictures.valid_y, 250, None)])
        self.device, self.n_inp, self.path, self.vocab = torch.device("cpu"), 1, Path(), None


# ---- a run -----------------------------------------------------------------------------------------------------------


def network(width: int, classes: int, batch_norm: bool) -> nn.Sequential:
    """Four convolutions, each followed by batch norm or by a bias in its place, and a linear layer."""
    layers: list[nn.Module] = []
    channels = [3, width, 2 * width, 4 * width, 4 * width]
    for i in range(4):
        conv = nn.Conv2d(channels[i], channels[i + 1], 3, 1 if i == 0 else 2, 1, bias=not batch_norm)
        nn.init.kaiming_normal_(conv.weight)
        layers += [conv, *([nn.BatchNorm2d(channels[i + 1])] if batch_norm else []), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], classes))


class FollowNorms(Callback):
    """Notes the norms of weights before each step; with norms to follow, sets rates so that lr / |w|^2 is theirs.

    Without momentum and with batch norm, the direction of each weight is then that of the run with weight decay:
    a step with decay is (1 - lr wd) w - lr g, and only the ratio of the two parts turns w.

    Args:
        weights: one for each layer.
        lr: the rate of the run that is followed.
        decay: its weight decay.
        norms: its norms, ``[layers][batches]``; None to follow nothing.
    """

    run_valid = False

    def __init__(
        self, weights: Sequence[Tensor], lr: float, decay: float, norms: Sequence[Sequence[float]] | None
    ) -> None:
        self.weights, self.lr, self.decay, self.to_follow = list(weights), lr, decay, norms
        self.norms: list[list[float]] = [[] for _ in self.weights]

    def before_step(self) -> None:
        """Note norms; set rates."""
        for i, weight in enumerate(self.weights):
            norm = float(weight.detach().norm())
            if self.to_follow is not None:
                rate = self.lr / (1 - self.lr * self.decay) * (norm / self.to_follow[i][len(self.norms[i])]) ** 2
                next(g for g in self.opt.param_groups if any(p is weight for p in g["params"]))["lr"] = rate
            self.norms[i].append(norm)


def train(
    pictures: Pictures, plan: Plan, treatment: Treatment, batch_norm: bool, seed: int, followed: Run | None = None
) -> Run:
    """Train once.

    Args:
        pictures: the data.
        plan: how.
        treatment: what is done to the convolutions.
        batch_norm: whether norms follow them.
        seed: of weights and of the order of batches.
        followed: the run with weight decay from the same seed, where the treatment follows one.
    """
    set_seed(seed)
    model = network(plan.width, pictures.classes, batch_norm)
    lr = plan.lr if batch_norm else plan.lr_without_norm
    convs = {name: m for name, m in model.named_modules() if isinstance(m, nn.Conv2d)}
    weights = [conv.weight for conv in convs.values()]
    rest = [p for p in model.parameters() if all(p is not weight for weight in weights)]
    followed_decay = getattr(plan, treatment.follows) if treatment.follows else 0.0
    follow = FollowNorms(weights, lr, followed_decay, followed.every_norm if followed else None)
    stats = {"activations": ["std"], "weights": ["norm", "effective_learning_rate"]}
    telemetry = LayerTelemetry(nn.Conv2d, ("activations", "weights"), stats, plan.every, rules=(), max_samples=2000)
    learn = Learner(
        _Loaders(pictures, plan.bs, seed),
        model,
        loss_func=CrossEntropyLossFlat(),
        opt_func=partial(SGD, mom=plan.momentum, decouple_wd=False),
        splitter=lambda m: [*([weight] for weight in weights), rest],
        metrics=accuracy,
        cbs=[Recorder(), follow, telemetry],
        default_cbs=False,
        check=False,
        undoable=False,
    )
    learn.logger = lambda row: None
    opt = learn.create_opt()
    for group in opt.param_groups:
        decays = any(p is weight for p in group["params"] for weight in weights)
        group["weight_decay"] = getattr(plan, treatment.decay) if treatment.decay and decays else 0.0
    diverged = False
    try:
        learn.fit(plan.epochs, lr)
    except TrainingError:
        diverged = True
    record, recorder = telemetry.record, learn.recorder
    of_weights = [[record.series(name, "weights", stat) for name in convs] for stat in stats["weights"]]
    return Run(
        treatment.name,
        batch_norm,
        seed,
        math.nan if diverged else float(recorder.values[-1][-1]),
        [float(row[0]) for row in recorder.values],
        of_weights[0][0].batches.tolist(),
        [series.values.tolist() for series in of_weights[0]],
        [series.values.tolist() for series in of_weights[1]],
        [record.series(name, "activations", "std").values.tolist() for name in convs],
        follow.norms,
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
    for batch_norm in (True, False):
        for seed in seeds:
            by_decay: dict[str, Run] = {}
            for treatment in TREATMENTS:
                followed = by_decay[treatment.follows] if treatment.follows else None
                run = train(pictures, plan, treatment, batch_norm, seed, followed)
                if treatment.decay:
                    by_decay[treatment.decay] = run
                runs.append(run)
                norm = "batch norm" if batch_norm else "no norm"
                result = f"accuracy {run.accuracy:.4f}  loss {[math.nan, *run.train_loss][-1]:.4f}"
                say(f"{norm:<11} seed {seed}  {treatment.name:<20} {result}")
    return [replace(run, every_norm=[]) for run in runs]


# ---- what came of it -------------------------------------------------------------------------------------------------


def with_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """The mean of values from several seeds, and half the width of its interval (Student's t); infinite for one."""
    if len(values) < 2:
        return float(np.mean(values)), math.inf
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return float(np.mean(values)), t_quantile(level, len(values) - 1) * error


def chosen(runs: Sequence[Run], treatment: str, batch_norm: bool) -> list[Run]:
    """The runs of a treatment, by seed."""
    found = [run for run in runs if run.treatment == treatment and run.batch_norm == batch_norm]
    return sorted(found, key=lambda run: run.seed)


def table(runs: Sequence[Run]) -> str:
    """Accuracies with intervals, and paired differences: what decay brings, and whether a rate that follows matches."""
    lines = ["| | with batch norm | without |", "|---|---|---|"]

    def cell(values: Sequence[float], signed: bool = False) -> str:
        if lost := sum(map(math.isnan, values)):
            return f"{lost} of {len(values)} diverged"
        mean, half = with_interval(values)
        return f"{100 * mean:{'+' if signed else ''}.1f} ± {100 * half:.1f}"

    for treatment in TREATMENTS:
        cells = [cell([run.accuracy for run in chosen(runs, treatment.name, norm)]) for norm in (True, False)]
        lines.append(f"| {treatment.name}: accuracy, % | {cells[0]} | {cells[1]} |")
    for one, other in (
        ("little decay", "no decay"), ("much decay", "no decay"),
        ("rate follows little", "little decay"), ("rate follows much", "much decay"),
    ):  # fmt: skip
        cells = []
        for norm in (True, False):
            pairs = zip(chosen(runs, one, norm), chosen(runs, other, norm), strict=True)
            cells.append(cell([a.accuracy - b.accuracy for a, b in pairs], signed=True))
        lines.append(f"| {one} − {other}, points | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study and write down what came of it.

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
    runs = run_all(pictures, plan, range(given.seeds))
    given.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"plan": asdict(plan), "runs": [asdict(run) for run in runs]})
    (given.out / "runs.json").write_text(text, encoding="utf-8")
    (given.out / "table.md").write_text(table(runs) + "\n", encoding="utf-8")
    draw_study(runs, given.out / "study.png")
    print(table(runs))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
