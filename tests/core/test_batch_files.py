import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laminar.core import BatchWriter, SavedBatches
from laminar.core.errors import ConfigError, DataError


def written(folder, batches) -> SavedBatches:
    writer = BatchWriter(folder)
    for batch in batches:
        writer.add(batch)
    saved = writer.close()
    assert saved is not None
    return saved


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_what_was_written_is_read_batch_by_batch_and_item_by_item(tmp_path_factory, sizes: list[int]) -> None:
    everything = torch.arange(2 * sum(sizes)).view(-1, 2)
    batches = everything.split(sizes)
    saved = written(tmp_path_factory.mktemp("saved"), batches)
    assert (len(saved), saved.n_items) == (len(sizes), sum(sizes))
    for one, other in zip(saved, batches, strict=True):
        assert torch.equal(one, other)
    assert torch.equal(saved.read(), everything)
    for number in range(-saved.n_items, saved.n_items):
        assert torch.equal(saved.item(number), everything[number])
    assert torch.equal(SavedBatches(saved.folder)[-1], batches[-1])


def test_nested_batches_come_back_with_their_types(tmp_path) -> None:
    batch = {"logits": torch.rand(2, 3).half(), "both": (torch.ones(2, dtype=torch.bool), torch.rand(2, 4, 4).mT)}
    saved = written(tmp_path / "a" / "b", [batch, batch])
    again = saved[1]
    assert again["logits"].dtype == torch.float16
    assert torch.equal(again["both"][1], batch["both"][1])
    assert saved.item(3)["both"][0].item() is True
    assert saved.read()["both"][1].shape == (4, 4, 4)


def test_a_function_reads_each_batch(tmp_path) -> None:
    saved = written(tmp_path, [torch.tensor([[0.1, 0.9], [0.8, 0.2]])])
    decided = saved.map(lambda batch: batch.argmax(1))
    assert decided[0].tolist() == [1, 0]
    assert decided.item(0).item() == 1
    assert decided.map(lambda batch: batch + 1).read().tolist() == [2, 1]
    assert repr(saved).endswith("2 items in 1 batches")


def test_batches_from_before_are_gone_and_other_files_stay(tmp_path) -> None:
    written(tmp_path, [torch.ones(1)] * 3)
    (tmp_path / "notes.txt").write_text("mine")
    saved = written(tmp_path, [torch.zeros(2)])
    assert saved.read().tolist() == [0, 0]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["batch_000000.safetensors", "index.json", "notes.txt"]
    assert BatchWriter(tmp_path).close() is None


def test_what_cannot_be_read_is_told(tmp_path) -> None:
    with pytest.raises(DataError, match="no batches lie there"):
        SavedBatches(tmp_path)
    BatchWriter(tmp_path).add(torch.ones(2))
    with pytest.raises(DataError, match="1 batches lie there, but their writing was interrupted"):
        SavedBatches(tmp_path)
    saved = written(tmp_path, [torch.ones(2)])
    with pytest.raises(IndexError, match="holds 2 items; there is no number 2"):
        saved.item(2)
    with pytest.raises(IndexError, match="holds 1 batches; there is no number 1"):
        saved[1]
    (tmp_path / "batch_000000.safetensors").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"batch_000000.safetensors: cannot be read"):
        saved[0]
    for wrong in ("[", "{}", json.dumps({"counts": [None], "structure": "0"})):
        (tmp_path / "index.json").write_text(wrong)
        with pytest.raises(DataError, match="is damaged"):
            SavedBatches(tmp_path)


def test_what_cannot_be_written_is_told(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file; batches are written into a folder"):
        BatchWriter(tmp_path / "file")
    writer = BatchWriter(tmp_path / "folder")
    with pytest.raises(ConfigError, match="only tensors"):
        writer.add(["words"])
    with pytest.raises(ConfigError, match="an item in each row of each tensor"):
        writer.add((torch.ones(2), torch.ones(3)))
    writer.add(torch.ones(2))
    with pytest.raises(ConfigError, match="not made like the batches before it"):
        writer.add((torch.ones(2), torch.ones(2)))
