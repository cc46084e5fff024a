"""Tensors on their way from a worker process."""

import pickle
from multiprocessing.reduction import ForkingPickler
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from laminar.core.types import TensorBBox, TensorImage, metadata, plain
from laminar.data.fetching import Fetched
from laminar.data.loader import TfmdDL
from laminar.data.passing import packed, unpacked

DTYPES = [torch.uint8, torch.int64, torch.float32, torch.bfloat16, torch.bool, torch.complex64]


def received(batch: Any) -> Any:
    """What arrives of a batch, having been pickled as processes do it."""
    return ForkingPickler.loads(ForkingPickler.dumps(Fetched(batch, (0,)))).batch


@given(
    shape=st.lists(st.integers(0, 4), max_size=4),
    dtype=st.sampled_from(DTYPES),
    seed=st.randoms(use_true_random=False),
    step=st.integers(1, 2),
)
@settings(max_examples=60)
def test_any_tensor_arrives_as_it_was(shape: list[int], dtype: torch.dtype, seed: Any, step: int) -> None:
    order = seed.sample(range(len(shape)), len(shape))
    tensor = (torch.rand([size * step for size in shape]) * 4).to(dtype).permute(order)
    tensor = tensor[tuple(slice(None, None, step) for _ in shape)]
    arrived = unpacked(pickle.loads(pickle.dumps(packed(tensor))))
    assert arrived.dtype is dtype
    assert torch.equal(arrived, tensor)
    if tensor.numel():
        arrived.zero_()  # it is nobody else's, and may be written to


def test_the_order_in_memory_is_kept() -> None:
    pictures = torch.zeros(2, 3, 8, 8, dtype=torch.uint8).to(memory_format=torch.channels_last)
    assert received(pictures).stride() == pictures.stride()


def test_types_and_what_they_know_arrive() -> None:
    boxes = TensorBBox(torch.rand(2, 3, 4), img_size=(32, 48))
    arrived = received((TensorImage(torch.zeros(2, 3, 4, 4)), boxes))
    assert [type(part) for part in arrived] == [TensorImage, TensorBBox]
    assert metadata(arrived[1]) == metadata(boxes)


class Batch(NamedTuple):
    x: torch.Tensor
    names: list[str]


def test_structures_and_what_is_no_tensor_arrive() -> None:
    arrived = received({"batch": Batch(torch.arange(3), ["a", "b", "c"]), "none": None})
    assert type(arrived["batch"]) is Batch
    assert arrived["batch"].x.tolist() == [0, 1, 2]
    assert arrived["batch"].names == ["a", "b", "c"]
    assert arrived["none"] is None


@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(1 << 20, dtype=torch.uint8), torch.eye(3).to_sparse(), torch.ones(3, requires_grad=True)],
    ids=["large", "sparse", "with gradient"],
)
def test_what_is_not_small_and_simple_goes_torchs_way(tensor: torch.Tensor) -> None:
    assert packed(tensor) is tensor


class Items:
    """Pictures of so many bytes, each filled with its number."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> tuple[TensorImage, int]:
        return TensorImage(torch.full((1, self.size), index, dtype=torch.uint8)), index


@pytest.mark.parametrize("size", [10, 1 << 20])
def test_workers_send_small_batches_and_large_ones(size: int) -> None:
    batches = list(TfmdDL(Items(size), bs=3, num_workers=1))
    assert [batch[1].tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5]]
    for pictures, numbers in batches:
        assert type(pictures) is TensorImage
        assert pictures.shape == (3, 1, size)
        assert bool((plain(pictures)[:, 0] == numbers[:, None]).all())
