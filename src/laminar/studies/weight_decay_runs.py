"""One training of the study of weight decay: the network, how rates follow norms, and what is kept of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from laminar.callbacks.base import Callback
from laminar.callbacks.recorder import Recorder
from laminar.callbacks.telemetry.layer_telemetry import LayerTelemetry
from laminar.core.errors import ConfigError, TrainingError
from laminar.core.seed import set_seed
from laminar.learner.learner import Learner
from laminar.metrics.classification import accuracy
from laminar.nn.losses import CrossEntropyLossFlat
from laminar.optim.optimizers import SGD
from laminar.studies.pictures import InMemory, Pictures

__all__ = ["FollowNorms", "Plan", "Run", "Treatment", "network", "train"]


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
        nudge: each starting weight is changed by about this share of itself.
    """

    name: str
    decay: str | None = None
    follows: str | None = None
    nudge: float = 0.0


@dataclass
class Run:
    """One training.

    Attributes:
        treatment: its name.
        batch_norm: whether norms follow the convolutions.
        seed: of weights and of the order of batches.
        diverged: whether it ended early, because weights were no numbers any more.
        accuracies: on the validation set after each epoch, 0 to 1.
        train_loss: of each epoch, smoothed.
        valid_loss: of each epoch.
        batches: numbers of the sampled batches.
        norms: norm of each convolution's weights at these, ``[layers][samples]``.
        rates: their effective learning rates, lr / |w|^2.
        spreads: standard deviation of their outputs.
        cosines: of the angles between the convolutions' weights and those of the run named, from the same seed, after
            each epoch; the mean of all layers.
        every_norm: norms at every batch, which other runs follow; not written to files.
        ends: weights after each epoch, ``[epochs][layers]``; not written to files.
    """

    treatment: str
    batch_norm: bool
    seed: int
    diverged: bool
    accuracies: list[float]
    train_loss: list[float]
    valid_loss: list[float]
    batches: list[int]
    norms: list[list[float]]
    rates: list[list[float]]
    spreads: list[list[float]]
    cosines: dict[str, list[float]] = field(default_factory=dict)
    every_norm: list[list[float]] = field(default_factory=list, repr=False, compare=False)
    ends: list[list[Tensor]] = field(default_factory=list, repr=False, compare=False)

    def last(self, what: str, epochs: int = 3) -> float:
        """The mean of ``accuracies``, ``train_loss`` or ``valid_loss`` in the last epochs, NaN if the run diverged.

        Args:
            what: the name.
            epochs: how many; one alone is moved by the last few batches.
        """
        values = getattr(self, what)[-epochs:]
        return math.nan if self.diverged or not values else sum(values) / len(values)


def network(width: int, classes: int, batch_norm: bool) -> nn.Sequential:
    """Four convolutions of stride 2, each followed by batch norm or by a bias in its place, and a linear layer."""
    layers: list[nn.Module] = []
    channels = [3, width, 2 * width, 4 * width, 4 * width]
    for i in range(4):
        conv = nn.Conv2d(channels[i], channels[i + 1], 3, 2, 1, bias=not batch_norm)
        nn.init.kaiming_normal_(conv.weight)
        layers += [conv, *([nn.BatchNorm2d(channels[i + 1])] if batch_norm else []), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], classes))


class FollowNorms(Callback):
    """Notes the norms of weights before each step; with norms to follow, sets rates so that lr / |w|^2 is theirs.

    Under batch norm the direction of each layer's weights is then that of the run with weight decay. Let s be the
    weights without decay over those with it. A step of both, by SGD with momentum m, keeps their directions alike if
    the rate is lr s^2 / r, where r, by how much s grows less in a step, begins at 1 and goes on by
    r = 1 + m - lr decay - m / r. (With s known from r it is the growing schedule of Li and Arora, "An Exponential
    Learning Rate Schedule for Deep Learning", 2020; without momentum, r = 1 - lr decay.) Hoffer et al. leave out r,
    which is within a few thousandths of 1.

    Args:
        weights: one for each layer.
        lr: the rate of the run that is followed.
        momentum: of both runs.
        decay: the weight decay of the run that is followed.
        norms: its norms, ``[layers][batches]``; None to follow nothing.

    Raises:
        ConfigError: decay beyond (1 - sqrt(momentum))^2 / lr, which turns weights around instead of shrinking them.
    """

    run_valid = False

    def __init__(
        self,
        weights: Sequence[Tensor],
        lr: float,
        momentum: float,
        decay: float,
        norms: Sequence[Sequence[float]] | None,
    ) -> None:
        if norms is not None and lr * decay > (1 - math.sqrt(momentum)) ** 2:
            most = (1 - math.sqrt(momentum)) ** 2 / lr
            raise ConfigError(
                f"no rate follows weight decay {decay:g} at a learning rate of {lr:g} and momentum {momentum:g}: decay"
                f" beyond {most:.3g} makes weights swing through 0. Take less decay or a lower rate."
            )
        self.weights, self.lr, self.momentum, self.decay = list(weights), lr, momentum, decay
        self.to_follow, self.shrinks = norms, 1.0
        self.norms: list[list[float]] = [[] for _ in self.weights]
        self.ends: list[list[Tensor]] = []

    def before_step(self) -> None:
        """Note norms; set rates."""
        self.shrinks = 1 + self.momentum - self.lr * self.decay - self.momentum / self.shrinks
        for i, weight in enumerate(self.weights):
            norm = float(weight.detach().norm())
            if self.to_follow is not None:
                if len(self.norms[i]) == len(self.to_follow[i]):
                    raise TrainingError("the run whose norms are followed ended here, because it diverged")
                rate = self.lr / self.shrinks * (norm / self.to_follow[i][len(self.norms[i])]) ** 2
                next(g for g in self.opt.param_groups if any(p is weight for p in g["params"]))["lr"] = rate
            self.norms[i].append(norm)

    def after_epoch(self) -> None:
        """Keep the weights."""
        self.ends.append([weight.detach().clone() for weight in self.weights])


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
    with torch.no_grad():
        for weight in weights if treatment.nudge else ():
            weight.mul_(1 + treatment.nudge * torch.randn_like(weight))
    decay = getattr(plan, treatment.decay) if treatment.decay else 0.0
    followed_decay = getattr(plan, treatment.follows) if treatment.follows else 0.0
    follow = FollowNorms(weights, lr, plan.momentum, followed_decay, followed.every_norm if followed else None)
    stats = {"activations": ["std"], "weights": ["norm", "effective_learning_rate"]}
    telemetry = LayerTelemetry(nn.Conv2d, ("activations", "weights"), stats, plan.every, rules=(), max_samples=2000)
    learn = _learner(InMemory(pictures, plan.bs, seed), model, weights, decay, plan.momentum)
    learn.add_cbs([follow, telemetry])
    diverged = False
    try:
        learn.fit(plan.epochs, lr)
    except TrainingError:
        diverged = True
    return _run(treatment.name, batch_norm, seed, diverged, learn, list(convs), telemetry, follow)


def _learner(dls: InMemory, model: nn.Module, weights: Sequence[Tensor], decay: float, momentum: float) -> Learner:
    """A learner with a parameter group for each of `weights`, which decay, and one for all else, which does not."""
    rest = [p for p in model.parameters() if all(p is not weight for weight in weights)]
    learn = Learner(
        dls,
        model,
        loss_func=CrossEntropyLossFlat(),
        opt_func=partial(SGD, mom=momentum, decouple_wd=False),
        splitter=lambda m: [*([weight] for weight in weights), rest],
        metrics=accuracy,
        cbs=[Recorder()],
        default_cbs=False,
        check=False,
        undoable=False,
    )
    learn.logger = lambda row: None
    for group in learn.create_opt().param_groups:
        group["weight_decay"] = decay if any(p is weight for p in group["params"] for weight in weights) else 0.0
    return learn


def _run(
    name: str,
    batch_norm: bool,
    seed: int,
    diverged: bool,
    learn: Learner,
    layers: Sequence[str],
    telemetry: LayerTelemetry,
    follow: FollowNorms,
) -> Run:
    record, rows = telemetry.record, [[float(value) for value in row] for row in learn.recorder.values]
    norms, rates = (
        [record.series(layer, "weights", stat) for layer in layers] for stat in ("norm", "effective_learning_rate")
    )
    return Run(
        name,
        batch_norm,
        seed,
        diverged,
        accuracies=[row[2] for row in rows],
        train_loss=[row[0] for row in rows],
        valid_loss=[row[1] for row in rows],
        batches=norms[0].batches.tolist(),
        norms=[series.values.tolist() for series in norms],
        rates=[series.values.tolist() for series in rates],
        spreads=[record.series(layer, "activations", "std").values.tolist() for layer in layers],
        every_norm=follow.norms,
        ends=follow.ends,
    )
