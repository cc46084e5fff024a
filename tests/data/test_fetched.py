import pytest
import torch

from laminar.core.types import TensorCategory, TensorImage
from laminar.data.fetching import Fetched
from laminar.data.loader import DataLoader
from laminar.data.transforms import IntToFloatTensor


class Pictures:
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> tuple[TensorImage, TensorCategory]:
        return TensorImage(torch.full((3, 4, 4), index, dtype=torch.uint8)), TensorCategory(index)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_batches_are_tuples_and_transformed_wherever_they_were_made(num_workers: int) -> None:
    for batch in DataLoader(Pictures(), bs=2, num_workers=num_workers, after_batch=[IntToFloatTensor()]):
        assert type(batch) is tuple
        assert type(batch[0]) is TensorImage
        assert batch[0].dtype is torch.float32


def test_pinning_keeps_the_structure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: self + 1)
    fetched = Fetched((torch.zeros(2), [torch.zeros(1), "text"], {"a": torch.zeros(1)}), (3,))
    batch = torch.utils.data._utils.pin_memory.pin_memory(fetched).batch
    assert type(batch) is tuple
    assert batch[0].tolist() == [1.0, 1.0]
    assert batch[1][1] == "text"
    assert batch[2]["a"].item() == 1.0
