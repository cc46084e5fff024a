"""What techniques add to a batch, counted: function calls, and operations of torch's."""

import cProfile
import pstats

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from laminar.callbacks import EMA, GradientAccumulation, MixUp, Recorder
from laminar.learner import Learner

N = 60


class Operations(TorchDispatchMode):
    """Counts what torch is asked to do."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture
def a_batch(toys, tmp_path):
    """Function calls and operations of one more batch: what a fit costs by itself cancels out."""
    data = toys.batches(16 * N, 16)

    def measured(cbs) -> tuple[float, float]:
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        learn = Learner((data,), model, nn.CrossEntropyLoss(), cbs=[Recorder, *cbs], default_cbs=False, path=tmp_path)
        learn.logger = lambda row: None
        learn.fit(1)
        calls, operations = [], []
        for epochs in (1, 2):
            profile = cProfile.Profile()
            profile.runcall(learn.fit, epochs)
            calls.append(pstats.Stats(profile).total_calls)
            with Operations() as counted:
                learn.fit(epochs)
            operations.append(counted.count)
        return (calls[1] - calls[0]) / N, (operations[1] - operations[0]) / N

    return measured


# by hand: a lerp; a multiplication and its derivative; draws, two orders, two losses and three lerps in mixup
@pytest.mark.parametrize(
    ("callback", "most_calls", "most_operations"),
    [
        (lambda: EMA(0.99), 8, 1),
        (lambda: GradientAccumulation(16), 60, 3),  # a step for every batch, as without it
        (lambda: MixUp(0.4), 230, 33),
    ],
)
def test_a_technique_adds_little_to_its_arithmetic(a_batch, callback, most_calls: int, most_operations: int) -> None:
    torch.manual_seed(0)
    without, with_it = a_batch([]), a_batch([callback()])
    assert with_it[0] - without[0] <= most_calls
    assert with_it[1] - without[1] <= most_operations
