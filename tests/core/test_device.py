from collections import namedtuple

import pytest
import torch

from laminar.core.device import (
    apply,
    default_device,
    find_bs,
    find_device,
    tensors_in,
    to_concat,
    to_cpu,
    to_detach,
    to_device,
    to_float,
    to_half,
    to_np,
)
from laminar.core.types import TensorImage

Pair = namedtuple("Pair", "left right")


def nested():
    return [torch.zeros(2, 3), (TensorImage(torch.ones(2, 1)), {"a": torch.zeros(2, dtype=torch.long)}), Pair(1, "b")]


def test_apply_rebuilds_the_structure():
    result = apply(lambda part: part + part, [1, ("a", {"k": 2}), Pair(3, 4)])
    assert result == [2, ("aa", {"k": 4}), Pair(6, 8)]
    assert type(result[2]) is Pair


def test_moving_keeps_types_and_leaves_other_things_alone():
    batch = nested()
    moved = to_cpu(to_device(batch, default_device()))
    assert type(moved[1][0]) is TensorImage
    assert moved[2] == Pair(1, "b")
    assert to_device(batch, "cpu")[0] is batch[0]


def test_only_floating_point_changes_precision():
    half = to_half(nested())
    assert [t.dtype for t in tensors_in(half)] == [torch.float16, torch.float16, torch.int64]
    assert [t.dtype for t in tensors_in(to_float(half))] == [torch.float32, torch.float32, torch.int64]


def test_batches_join_part_by_part():
    joined = to_concat([(torch.zeros(2, 3), {"a": torch.ones(2)}), (torch.zeros(1, 3), {"a": torch.ones(1)})])
    assert joined[0].shape == (3, 3)
    assert joined[1]["a"].shape == (3,)
    assert to_concat([torch.tensor(1.0), torch.tensor(2.0)]).tolist() == [1.0, 2.0]
    assert len(to_concat([torch.zeros(2, 3), torch.zeros(1, 4)])) == 3
    assert to_concat([]) == []


def test_batch_size_and_device_are_those_of_the_first_tensor():
    assert find_bs(nested()) == 2
    assert find_device(nested()).type == "cpu"
    with pytest.raises(ValueError, match="no tensor with a batch dimension"):
        find_bs([1, "a"])


def test_detached_and_numpy_copies_leave_the_graph():
    x = torch.ones(2, requires_grad=True)
    assert not to_detach([x * 2])[0].requires_grad
    assert to_np((x,))[0].tolist() == [1.0, 1.0]


class Graphs:
    """A batch of a library's own kind, with what such classes have in common."""

    device = "cpu"

    def to(self, device: torch.device) -> "Graphs":
        moved = Graphs()
        moved.device = device.type
        return moved


def test_batches_of_other_kinds_move_themselves() -> None:
    graphs, label = to_device((Graphs(), torch.zeros(2)), "meta")
    assert (graphs.device, label.device.type) == ("meta", "meta")
