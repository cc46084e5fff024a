"""What users of such libraries have complained of, about finding, splitting and labelling data: each is better here."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from laminar.core.errors import DataError
from laminar.data.block import DataBlock
from laminar.data.blocks import CategoryBlock, TransformBlock
from laminar.data.labels import ColReader, parent_label
from laminar.data.loaders import DataLoaders
from laminar.data.sources import get_files
from laminar.data.splitters import ColSplitter, EndSplitter, FuncSplitter, GrandparentSplitter, RandomSplitter
from laminar.data.vocab import CategoryMap


def touch(*names: str) -> Path:
    for name in names:
        Path("data", name).parent.mkdir(parents=True, exist_ok=True)
        Path("data", name).touch()
    return Path("data")


def size_of(file: Path) -> torch.Tensor:
    return torch.tensor([float(len(file.name))])


def block(splitter: Any) -> DataBlock:
    blocks = (TransformBlock(type_tfms=size_of), CategoryBlock)
    return DataBlock(blocks, get_items=get_files, splitter=splitter, get_y=parent_label)


def table_block(**options: Any) -> DataBlock:
    blocks = (TransformBlock(type_tfms=torch.tensor), CategoryBlock(**options))
    return DataBlock(blocks, get_x=ColReader("x"), get_y=ColReader("kind"), splitter=ColSplitter())


def table(kinds: list[str], categories: list[str] | None = None) -> pd.DataFrame:
    column = kinds if categories is None else pd.Categorical(kinds, categories=categories)
    last = [index >= len(kinds) - 2 for index in range(len(kinds))]
    return pd.DataFrame({"x": [float(index) for index in range(len(kinds))], "kind": column, "is_valid": last})


def targets(dls: DataLoaders) -> list[str]:
    return [dls.vocab[int(dls.train_ds[index][1])] for index in range(len(dls.train_ds))]


def test_pain_01_a_wrong_use_of_category_map_is_an_error_and_not_silence() -> None:
    with pytest.raises(DataError, match="'banana' is one text"):
        CategoryMap("banana")
    with pytest.raises(DataError, match=r"a whole data frame .*one of its columns: x, kind, is_valid"):
        CategoryMap(table(["a", "b", "c"]))
    classes = CategoryMap(["cat", "dog"])
    with pytest.raises(DataError, match=r"label 'dgo' is none of the 2 classes.*Did you mean 'dog'\?"):
        classes.map_objs(["cat", "dgo"])


def test_pain_02_no_items_end_in_an_error_that_names_the_folder_and_what_is_there() -> None:
    Path("empty").mkdir()
    with pytest.raises(DataError, match="empty holds no files"):
        block(RandomSplitter()).dataloaders("empty")
    folder = touch("a/1.csv", "a/2.csv")
    only_pictures = DataBlock(get_items=lambda path: get_files(path, ".jpg"))
    with pytest.raises(DataError, match=r"holds no file that ends in .jpg. What is there: 2 of .csv"):
        only_pictures.dataloaders(folder)
    with pytest.raises(DataError, match=r"training split is empty: FuncSplitter.* divided 2 items into 0, 2"):
        block(FuncSplitter(lambda file: True)).dataloaders(folder)


def test_pain_03_folder_names_that_do_not_match_end_in_an_error_that_lists_those_that_are_there() -> None:
    folder = touch("training/a/1", "training/b/2", "testing/a/3")
    with pytest.raises(DataError, match=r"folder 'train' .*'training' \(2 items\).*Did you mean 'training'\?"):
        block(GrandparentSplitter()).dataloaders(folder)


def test_pain_03_data_for_validation_only_end_in_an_error_that_says_so() -> None:
    folder = touch("valid/a/1", "valid/b/2")
    with pytest.raises(DataError, match=r"no item lies in a folder 'train' .*'valid' \(2 items\)"):
        block(GrandparentSplitter()).dataloaders(folder)


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("splitter", [RandomSplitter(0.1, seed=0), EndSplitter(0.1)])
def test_pain_03_the_fewest_items_still_give_some_to_validate_on(count: int, splitter: Any) -> None:
    train, valid = splitter(list(range(count)))
    assert (len(train), len(valid)) == (count - 1, 1)


def test_pain_12_a_category_that_does_not_occur_leaves_the_targets_as_they_are() -> None:
    kinds = ["b", "a", "b", "a", "b", "a"]
    dls = table_block().dataloaders(table(kinds, ["a", "never", "b"]), bs=2, device="cpu")
    assert list(dls.vocab) == ["a", "b"]
    assert targets(dls) == kinds[:4]
    dls = table_block(vocab=["a", "never", "b"]).dataloaders(table(kinds, ["a", "never", "b"]), bs=2, device="cpu")
    assert (dls.c, targets(dls)) == (3, kinds[:4])


def test_pain_13_a_table_to_test_on_is_coded_by_the_classes_of_training_whatever_its_own_codes() -> None:
    dls = table_block().dataloaders(table(["a", "b", "c", "a", "b", "c"]), bs=2, device="cpu")
    kinds = ["c", "b", "c"]
    for frame in (table(kinds), table(kinds, ["b", "c"]), table(kinds, ["c", "b", "a"])):
        found = [int(kind) for _, batch in dls.test_dl(frame, with_labels=True) for kind in batch]
        assert [dls.vocab[number] for number in found] == kinds
    with pytest.raises(DataError, match="'new' is none of the 3 classes"):
        list(dls.test_dl(table(["a", "new"]), with_labels=True))


def test_pain_14_labels_of_a_table_to_test_on_are_read_if_and_only_if_that_is_said() -> None:
    dls = table_block().dataloaders(table(["a", "b", "a", "b"]), bs=2, device="cpu")
    labelled = table(["b", "b", "a"])
    for frame in (labelled, labelled.drop(columns="kind")):
        assert [len(batch) for batch in dls.test_dl(frame)] == [1, 1]
    assert [len(batch) for batch in dls.test_dl(labelled, with_labels=True)] == [2, 2]
    with pytest.raises(DataError, match=r"there is no 'kind' in .* It has: x, is_valid"):
        list(dls.test_dl(labelled.drop(columns="kind"), with_labels=True))
