"""What telemetry costs: a training step of the small xresnet with it, without it, and on batches it does not sample.

One process, one thread, batches made beforehand, rounds whose order rotates. ``sampled`` is telemetry as it comes
(every tenth batch); ``not sampled`` has it among the callbacks with its next sample far away; ``convolutions`` watches
activations and weights of convolutions and linear layers alone.
"""

import argparse
from collections.abc import Callable

import torch
from rounds import interleaved, median_ratio, print_table
from torch import Tensor, nn

from laminar.callbacks import LayerTelemetry
from laminar.learner import Learner
from laminar.nn import CrossEntropyLossFlat
from laminar.vision.models.xresnet import xresnet_small


class Loaders(list):
    device, n_inp, vocab, path = torch.device("cpu"), 1, None, "."


def contender(batches: list[tuple[Tensor, Tensor]], telemetry: LayerTelemetry | None) -> Callable[[], object]:
    torch.manual_seed(0)
    learn = Learner(
        Loaders([batches, batches[:1]]), xresnet_small(n_out=10), loss_func=CrossEntropyLossFlat(),
        cbs=[] if telemetry is None else telemetry, default_cbs=False, check=False, undoable=False,
    )  # fmt: skip

    return lambda: learn.fit(1, 1e-4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", type=int, default=20, help="in a round")
    parser.add_argument("--size", type=int, default=64, help="side of the pictures")
    parser.add_argument("--bs", type=int, default=64)
    options = parser.parse_args()
    torch.set_num_threads(1)
    shape = (options.bs, 3, options.size, options.size)
    batches = [(torch.randn(shape), torch.randint(10, (options.bs,))) for _ in range(options.batches)]
    contenders = {
        "none": contender(batches, None),
        "not sampled": contender(batches, LayerTelemetry(every=10**9)),  # only the first batch of the warm-up
        "convolutions": contender(
            batches, LayerTelemetry([nn.Conv2d, nn.Linear], ("activations", "weights"), every=10)
        ),
        "sampled": contender(batches, LayerTelemetry(every=10)),
    }
    seconds = interleaved(contenders, options.rounds)
    rows = [
        [name, f"{1e3 * min(taken) / options.batches:.1f}", f"{100 * (median_ratio(seconds, name, 'none') - 1):+.1f} %"]
        for name, taken in seconds.items()
    ]
    print_table("Telemetry of xresnet_small", ["telemetry", "ms a batch (best round)", "over none (median)"], rows)


if __name__ == "__main__":
    main()
