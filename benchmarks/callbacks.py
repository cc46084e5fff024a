"""What techniques cost as callbacks, beside their bare arithmetic written into a plain PyTorch loop.

Each technique is measured twice: plain loop with and without its arithmetic, laminar's fit with and without its
callback, all on the same small network and batches, in one process on one thread, in rounds whose order rotates. What
the technique adds to a batch here and there is compared. Accumulation adds little and saves steps of the optimiser, so
of it the whole loops are compared. Further down: ten callbacks that listen to no batch, and the optimiser's step.
"""

import argparse
import warnings
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

import torch
from rounds import Seconds, interleaved, median_difference, median_ratio, print_table
from torch import Tensor, nn

LR = 1e-3
BATCH_SIZE = 32
WINDOW = 4  # batches to a step, with accumulation
LOSS = nn.CrossEntropyLoss()
Batches = list[tuple[Tensor, Tensor]]
Contender = Callable[[], object]


def make_batches(n: int, side: int) -> Batches:
    """Return `n` batches of pictures of ten classes."""
    torch.manual_seed(0)
    return [(torch.rand(BATCH_SIZE, 3, side, side), torch.randint(10, (BATCH_SIZE,))) for _ in range(n)]


class Size(NamedTuple):
    """How much there is to compute: pixels of a picture's side, and features of the network's hidden layers."""

    side: int
    width: int


SIZES = {"least": Size(16, 64), "ordinary": Size(128, 1024)}


def network(width: int) -> nn.Module:
    """Two hidden layers on 16 pixels: so little that what a technique adds is not lost in the noise of the rest."""
    torch.manual_seed(0)
    hidden = [nn.Linear(3 * 16, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), *hidden, nn.Linear(width, 10))


def fused_adamw(model: nn.Module) -> torch.optim.AdamW:
    return torch.optim.AdamW(model.parameters(), lr=LR, fused=True)


# ---- the arithmetic, by hand -----------------------------------------------------------------------------------------


def plain(batches: Batches, width: int) -> Contender:
    model = network(width)
    optimizer = fused_adamw(model)

    def run() -> None:
        for inputs, targets in batches:
            loss = LOSS(model(inputs), targets)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return run


def plain_mixup(batches: Batches, width: int) -> Contender:
    """A share for each item, of a Beta distribution; the losses against both targets, item by item."""
    model = network(width)
    optimizer = fused_adamw(model)
    each = nn.CrossEntropyLoss(reduction="none")
    beta = torch.distributions.Beta(0.4, 0.4)

    def run() -> None:
        for inputs, targets in batches:
            order = torch.randperm(len(targets))
            share = beta.sample((len(targets),))
            share = torch.maximum(share, 1 - share)
            mixed = torch.lerp(inputs[order], inputs, share[:, None, None, None])
            pred = model(mixed)
            loss = torch.lerp(each(pred, targets[order]), each(pred, targets), share).mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return run


def plain_ema(batches: Batches, width: int) -> Contender:
    """An average of all weights and statistics, moved after every step."""
    model = network(width)
    optimizer = fused_adamw(model)
    live = [t.detach() for t in [*model.parameters(), *model.buffers()] if t.is_floating_point()]
    average = [t.clone() for t in live]

    def run() -> None:
        for inputs, targets in batches:
            loss = LOSS(model(inputs), targets)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            torch._foreach_lerp_(average, live, 0.001)

    return run


def plain_accumulation(batches: Batches, width: int) -> Contender:
    """A step for every `WINDOW` batches, and for those that are left in the end."""
    model = network(width)
    optimizer = fused_adamw(model)

    def run() -> None:
        for number, (inputs, targets) in enumerate(batches, 1):
            loss = LOSS(model(inputs), targets) / WINDOW
            loss.backward()
            if number % WINDOW == 0 or number == len(batches):
                optimizer.step()
                optimizer.zero_grad()

    return run


# ---- the callbacks ---------------------------------------------------------------------------------------------------


def laminar_fit(batches: Batches, width: int, make_callbacks: Callable[[], Sequence[object]]) -> Contender:
    from laminar.callbacks import ProgressCallback
    from laminar.data import DataLoaders
    from laminar.learner import Learner

    learn = Learner(DataLoaders(batches), network(width), LOSS, cbs=make_callbacks(), undoable=False)
    learn.remove_cb(ProgressCallback)

    def run() -> None:
        with learn.no_logging():
            learn.fit(1, LR)

    return run


def no_callbacks() -> list[object]:
    return []


def mixup() -> list[object]:
    from laminar.callbacks import MixUp

    return [MixUp(0.4)]


def ema() -> list[object]:
    from laminar.callbacks import EMA

    return [EMA(0.999, warm_up=False)]


def accumulation() -> list[object]:
    from laminar.callbacks import GradientAccumulation

    return [GradientAccumulation(WINDOW * BATCH_SIZE)]


def ten_silent_ones() -> list[object]:
    """Callbacks that listen to epochs, and to nothing inside a batch."""
    from laminar.callbacks import Callback

    kinds = [type(f"Silent{number}", (Callback,), {"after_epoch": lambda self: None}) for number in range(10)]
    return [kind() for kind in kinds]


TECHNIQUES: dict[str, tuple[Callable[[Batches, int], Contender], Callable[[], list[object]]]] = {
    "mixup": (plain_mixup, mixup),
    "EMA": (plain_ema, ema),
    "accumulation": (plain_accumulation, accumulation),
}


# ---- the step --------------------------------------------------------------------------------------------------------


def steps(n: int, make: Callable[[nn.Module], torch.optim.Optimizer]) -> Contender:
    model = network(64)
    optimizer = make(model)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e-3)

    def run() -> None:
        for _ in range(n):
            optimizer.step()

    return run


def laminar_groups(model: nn.Module) -> list[dict[str, object]]:
    """The parameter groups that a learner makes: with and without weight decay."""
    from laminar.optim import decay_groups, layer_groups, trainable_params

    return decay_groups(model, layer_groups(model, trainable_params))


def laminar_adam(model: nn.Module) -> torch.optim.Optimizer:
    """The default optimiser, over the groups that a learner makes."""
    from laminar.optim import Adam

    return Adam(laminar_groups(model), lr=LR)


def fused_adamw_in_groups(model: nn.Module) -> torch.optim.AdamW:
    return torch.optim.AdamW(laminar_groups(model), lr=LR, fused=True)


# ---- what they took --------------------------------------------------------------------------------------------------


def technique_row(name: str, seconds: Seconds, scale: float) -> list[str]:
    """Microseconds that a technique adds to a batch, by hand and as a callback, and how the two compare."""
    by_hand = median_difference(seconds, f"plain, {name}", "plain") * scale
    called = median_difference(seconds, f"laminar, {name}", "laminar") * scale
    whole = median_ratio(seconds, f"laminar, {name}", f"plain, {name}")
    ratio = f"{called / by_hand:.2f}" if by_hand > 0 else "-"
    return [name, f"{by_hand:+.0f}", f"{called:+.0f}", ratio, f"{whole:.3f}"]


def measure_techniques(name: str, size: Size, n_batches: int, rounds: int) -> None:
    """Print what each technique adds to a batch of a size."""
    batches = make_batches(n_batches, size.side)
    contenders = {"plain": plain(batches, size.width), "laminar": laminar_fit(batches, size.width, no_callbacks)}
    for technique, (by_hand, callbacks) in TECHNIQUES.items():
        contenders[f"plain, {technique}"] = by_hand(batches, size.width)
        contenders[f"laminar, {technique}"] = laminar_fit(batches, size.width, callbacks)
    contenders["laminar, ten silent callbacks"] = laminar_fit(batches, size.width, ten_silent_ones)
    seconds = interleaved(contenders, rounds)
    scale = 1e6 / n_batches
    n_parameters = sum(p.numel() for p in network(size.width).parameters())
    print_table(
        f"Techniques, {name} size: {BATCH_SIZE} pictures of {size.side} pixels, {n_parameters:,} parameters;"
        f" {n_batches} batches a round, median of {rounds} rounds, one thread; microseconds a batch",
        ["", "added by hand", "added by the callback", "ratio of these", "whole loops, laminar over plain"],
        [technique_row(technique, seconds, scale) for technique in TECHNIQUES],
    )
    silent = median_difference(seconds, "laminar, ten silent callbacks", "laminar") * scale
    over = median_difference(seconds, "laminar", "plain") * scale
    print(f"\nA batch of laminar's alone: {median(seconds['laminar']) * scale:.0f} µs, {over:+.1f} over plain PyTorch;")
    print(f"ten callbacks that listen to no batch: {silent:+.1f} µs a batch.")


def measure_step(n: int, rounds: int) -> None:
    """Print what a step of the default optimiser takes."""
    same, grouped, own = "torch's AdamW, fused", "torch's AdamW, fused, the same two groups", "laminar's Adam"
    makers = {same: fused_adamw, grouped: fused_adamw_in_groups, own: laminar_adam}
    taken = interleaved({name: steps(n, make) for name, make in makers.items()}, rounds)
    rows = [[k, f"{median(v) * 1e6 / n:.1f}", f"{median_ratio(taken, k, grouped):.2f}"] for k, v in taken.items()]
    print_table("A step of the optimiser", ["", "µs", "ratio"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=50, help="batches in a round")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name, size in SIZES.items():
        measure_techniques(name, size, args.batches, args.rounds)
    measure_step(10 * args.batches, args.rounds)


if __name__ == "__main__":
    main()
