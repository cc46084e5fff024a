"""Batches that are copied to a CUDA device ahead of their use."""

import pytest
import torch

from laminar.data import DataLoader

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def rows(n: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(torch.full((3, 64, 64), float(i)), torch.tensor(i)) for i in range(n)]


@needs_cuda
def test_what_arrives_is_what_was_sent_in_order_also_while_the_device_is_busy() -> None:
    loader = DataLoader(rows(40), bs=4, num_workers=2, device="cuda")
    seen = []
    for pictures, numbers in loader:
        work = torch.randn(2048, 2048, device="cuda")
        for _ in range(5):
            work = work @ work / 2048
        assert pictures.device.type == "cuda"
        seen.append((pictures[:, 0, 0, 0] - numbers).abs().sum())
        last = numbers
    assert float(torch.stack(seen).sum()) == 0.0
    assert last.tolist() == [36, 37, 38, 39]


@needs_cuda
def test_an_epoch_left_in_the_middle_is_gone_on_with_at_the_right_batch() -> None:
    loader = DataLoader(rows(20), bs=4, num_workers=1, device="cuda", seed=1)
    running = iter(loader)
    next(running)
    assert loader.state_dict()["batch"] == 1
