"""What a training loop costs: microseconds a batch around a tiny network, beside plain PyTorch and peers.

Everything runs in one process on one thread, over the same batches made beforehand, in rounds whose order rotates.
Each framework is set up as small as it goes without taking away what it does by default in a batch: no progress bar, no
checkpoint, no logger; laminar and fastai, which validate in a fit, do so on one batch. A round is one call of the
framework's own `fit` (or `run`), whose set-up the batches share.
"""

import argparse
import logging
import warnings
from collections.abc import Callable, Iterator
from statistics import median

import torch
from rounds import interleaved, median_difference, median_ratio, print_table
from torch import Tensor, nn

LR = 1e-3
LOSS = nn.CrossEntropyLoss()
Batches = list[tuple[Tensor, Tensor]]
Contender = Callable[[], object]


def make_batches(n: int, size: int = 64) -> Batches:
    """Return `n` batches of ten features and two classes."""
    torch.manual_seed(0)
    return [(torch.randn(size, 10), torch.randint(2, (size,))) for _ in range(n)]


def tiny_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 2))


def fused_adamw(model: nn.Module) -> torch.optim.AdamW:
    return torch.optim.AdamW(model.parameters(), lr=LR, fused=True)


# ---- plain PyTorch ---------------------------------------------------------------------------------------------------


def plain(batches: Batches, make_optimizer: Callable[[nn.Module], torch.optim.Optimizer]) -> Contender:
    model = tiny_network()
    optimizer = make_optimizer(model)

    def run() -> None:
        for inputs, targets in batches:
            loss = LOSS(model(inputs), targets)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return run


def plain_two_groups(batches: Batches) -> Contender:
    """The very optimiser that laminar makes: weights decay, biases do not, so torch steps through two groups."""

    def two_groups(model: nn.Module) -> torch.optim.AdamW:
        weights = [parameter for parameter in model.parameters() if parameter.ndim > 1]
        biases = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
        return torch.optim.AdamW([{"params": weights}, {"params": biases, "weight_decay": 0.0}], lr=LR, fused=True)

    return plain(batches, two_groups)


def plain_default(batches: Batches) -> Contender:
    return plain(batches, lambda model: torch.optim.AdamW(model.parameters(), lr=LR))


def plain_fused(batches: Batches) -> Contender:
    return plain(batches, fused_adamw)


# ---- laminar: `Adam` as it comes (AdamW, fused), the recorder, a constant learning rate or one cycle -----------------


def laminar_learner(batches: Batches):
    from laminar.callbacks import ProgressCallback
    from laminar.data import DataLoaders
    from laminar.learner import Learner

    learn = Learner(DataLoaders(batches, batches[:1]), tiny_network(), loss_func=LOSS)
    learn.remove_cb(ProgressCallback)
    return learn


def laminar_fit(batches: Batches) -> Contender:
    learn = laminar_learner(batches)

    def run() -> None:
        with learn.no_logging():
            learn.fit(1, LR)

    return run


def laminar_one_cycle(batches: Batches) -> Contender:
    learn = laminar_learner(batches)

    def run() -> None:
        with learn.no_logging():
            learn.fit_one_cycle(1, LR)

    return run


# ---- peers -----------------------------------------------------------------------------------------------------------


def fastai_fit(batches: Batches) -> Contender:
    """fastai with its own Adam and its default callbacks (recorder and all), without the progress bar."""
    from fastai.callback.progress import ProgressCallback
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner

    learn = Learner(DataLoaders(batches, batches[:1], device=torch.device("cpu")), tiny_network(), LOSS)
    learn.remove_cb(ProgressCallback)

    def run() -> None:
        with learn.no_logging():
            learn.fit(1, LR)

    return run


def lightning_fit(batches: Batches) -> Contender:
    """Lightning with automatic optimisation; a trainer is for one fit, so each round makes one."""
    import lightning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Loader:
        """The same batches; Lightning takes a bare list for several loaders."""

        def __len__(self) -> int:
            return len(batches)

        def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
            return iter(batches)

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = tiny_network()

        def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
            inputs, targets = batch
            return LOSS(self.model(inputs), targets)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return fused_adamw(self.model)

    module = Module()

    def run() -> None:
        trainer = lightning.Trainer(
            max_epochs=1,
            accelerator="cpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, Loader())

    return run


def ignite_run(batches: Batches) -> Contender:
    """Ignite's supervised trainer as its documentation makes it; its output is the loss as a number."""
    from ignite.engine import create_supervised_trainer

    model = tiny_network()
    trainer = create_supervised_trainer(model, fused_adamw(model), LOSS)
    return lambda: trainer.run(batches, max_epochs=1)


def accelerate_loop(batches: Batches) -> Contender:
    """The plain loop with the model and the optimiser prepared by accelerate; the batches stay as they are."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    model = tiny_network()
    model, optimizer = accelerator.prepare(model, fused_adamw(model))

    def run() -> None:
        for inputs, targets in batches:
            loss = LOSS(model(inputs), targets)
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()

    return run


CONTENDERS: dict[str, Callable[[Batches], Contender]] = {
    "plain, AdamW fused": plain_fused,
    "plain, AdamW fused, two groups": plain_two_groups,
    "plain, AdamW": plain_default,
    "laminar, fit": laminar_fit,
    "laminar, fit_one_cycle": laminar_one_cycle,
    "ignite": ignite_run,
    "accelerate": accelerate_loop,
    "lightning": lightning_fit,
    "fastai": fastai_fit,
}
REFERENCE = "plain, AdamW fused"
SAME_OPTIMISER = "plain, AdamW fused, two groups"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=1000, help="batches in a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", nargs="+", help="words that choose among the contenders")
    args = parser.parse_args()

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    batches = make_batches(args.batches)
    chosen = [
        name
        for name in CONTENDERS
        if name in (REFERENCE, SAME_OPTIMISER) or not args.only or any(word in name for word in args.only)
    ]
    seconds = interleaved({name: CONTENDERS[name](batches) for name in chosen}, args.rounds)

    scale = 1e6 / len(batches)
    rows = [
        [
            name,
            f"{median(taken) * scale:.0f}",
            f"{min(taken) * scale:.0f} to {max(taken) * scale:.0f}",
            f"{median_difference(seconds, name, REFERENCE) * scale:+.0f}",
            f"{median_difference(seconds, name, SAME_OPTIMISER) * scale:+.0f}",
            f"{median_ratio(seconds, name, REFERENCE):.2f}",
        ]
        for name, taken in seconds.items()
    ]
    print_table(
        f"Loop: MLP 10-32-2, batch 64, {len(batches)} batches a round, median of {args.rounds} rounds, one thread",
        ["", "µs a batch", "rounds", f"over {REFERENCE}", "over the same in two groups", "ratio"],
        rows,
    )


if __name__ == "__main__":
    main()
