"""What is wrong with data is said when loaders are built, by name and with the remedy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from laminar.core.errors import DataError
from laminar.core.types import TensorImage
from laminar.data.block import DataBlock
from laminar.data.blocks import CategoryBlock, MultiCategoryBlock, TransformBlock
from laminar.data.datasets import Datasets
from laminar.data.labels import parent_label
from laminar.data.sources import get_image_files
from laminar.data.splitters import FuncSplitter, GrandparentSplitter, RandomSplitter
from laminar.data.transforms import Categorize


def open_picture(file: Path) -> TensorImage:
    with Image.open(file) as picture:
        return TensorImage(np.array(picture)).permute(2, 0, 1)


def draw(*names: str, size: tuple[int, int] = (8, 6)) -> Path:
    for name in names:
        Path("pets", name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(Path("pets", name))
    return Path("pets")


def pets(get_y: Callable[[Path], Any] = parent_label, splitter: Any = None, y_block: Any = CategoryBlock) -> DataBlock:
    blocks = (TransformBlock(type_tfms=open_picture), y_block)
    return DataBlock(blocks, get_items=get_image_files, get_y=get_y, splitter=splitter or RandomSplitter(0.2, seed=1))


def error_of(block: DataBlock, source: Any, **options: Any) -> str:
    """The message and the notes of the error that building the loaders ends with."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  # the messages are what is tested
        block.dataloaders(source, bs=2, device="cpu", **options)
    return "\n".join([f"{type(caught.value).__name__}: {caught.value}", *getattr(caught.value, "__notes__", [])])


def test_an_empty_folder() -> None:
    Path("empty").mkdir()
    message = error_of(pets(), "empty")
    assert "DataError: empty holds no files. Is the path right, and was the archive unpacked?" in message
    assert "in get_items=get_image_files of 'empty'" in message


def test_a_folder_without_pictures() -> None:
    Path("texts").mkdir()
    Path("texts/a.txt").touch()
    assert "What is there: 1 of .txt" in error_of(pets(), "texts")


def test_a_folder_given_without_a_function_that_reads_it() -> None:
    message = error_of(DataBlock((TransformBlock, CategoryBlock)), Path("pets"))
    assert "a list of items is needed" in message
    assert "pass get_items=get_image_files" in message


def test_no_items_at_all() -> None:
    assert "there are no items" in error_of(DataBlock((TransformBlock, CategoryBlock)), [])


def test_one_class_only() -> None:
    folder = draw(*[f"cat/{i}.png" for i in range(5)])
    message = error_of(pets(), folder)
    assert "DataError: there is one class only, 'cat', in all 5 items" in message
    assert "Does the label function (get_y, label_func, the folders) give what you mean?" in message
    assert ".png" in message


def test_an_empty_validation_split() -> None:
    folder = draw("cat/1.png", "dog/2.png", "dog/3.png")
    message = error_of(pets(splitter=FuncSplitter(lambda file: False)), folder)
    assert "DataError: the validation split is empty: FuncSplitter" in message
    assert "divided 3 items into 3, 0" in message
    assert "splitter=RandomSplitter(0.2)" in message


def test_an_empty_training_split() -> None:
    folder = draw("cat/1.png", "dog/2.png")
    assert "the training split is empty" in error_of(pets(splitter=FuncSplitter(lambda file: True)), folder)


def test_an_empty_split_given_to_datasets() -> None:
    with pytest.raises(DataError, match="the validation split is empty"):
        Datasets([1, 2], [[float]], splits=[[0, 1], []]).dataloaders(bs=1)


def test_folders_with_other_names_than_the_splitters() -> None:
    folder = draw("training/cat/1.png", "testing/cat/2.png")
    message = error_of(pets(splitter=GrandparentSplitter()), folder)
    assert "The folders there are: 'training' (1 items), 'testing' (1 items)" in message.replace(
        "'testing' (1 items), 'training' (1 items)", "'training' (1 items), 'testing' (1 items)"
    )
    assert "in splitter=GrandparentSplitter" in message


def test_a_class_in_validation_that_training_lacks() -> None:
    folder = draw("train/cat/1.png", "train/dog/2.png", "valid/cat/3.png", "valid/bird/4.png", "valid/bird/5.png")
    message = error_of(pets(splitter=GrandparentSplitter()), folder)
    assert "DataError: label 'bird', found in validation, is no class of the training items: 'cat', 'dog'." in message
    assert "It belongs to 2 item(s): pets/valid/bird/4.png, pets/valid/bird/5.png." in message
    assert "CategoryBlock(vocab=[...])" in message


def test_a_label_that_is_none_of_the_classes_given() -> None:
    folder = draw("train/cat/1.png", "train/dog/2.png", "valid/cat/3.png")
    message = error_of(pets(splitter=GrandparentSplitter(), y_block=CategoryBlock(vocab=["cat", "bird"])), folder)
    assert "label 'dog', found in training, is none of the classes in vocab: 'cat', 'bird'" in message
    assert "pets/train/dog/2.png" in message


def test_a_label_of_several_that_training_lacks() -> None:
    folder = draw("train/cat/1.png", "train/dog/2.png", "valid/cat/3.png")
    block = pets(lambda file: [file.parent.name, file.stem], GrandparentSplitter(), MultiCategoryBlock)
    assert "label '3', found in validation" in error_of(block, folder)


def test_a_class_for_unknown_labels_lets_them_pass() -> None:
    folder = draw("train/cat/1.png", "train/dog/2.png", "valid/bird/3.png")
    dls = pets(splitter=GrandparentSplitter(), y_block=CategoryBlock(add_na=True)).dataloaders(
        folder, bs=1, device="cpu"
    )
    assert dls.valid.one_batch()[1].tolist() == [0]


def label_func(file: Path) -> str:
    return {"1": "a", "2": "b", "3": "a"}[file.stem]


def test_a_label_function_that_fails_on_one_file() -> None:
    folder = draw("x/1.png", "x/2.png", "x/3.png", "x/4.png")
    for seed in range(4):  # wherever the file comes to lie
        message = error_of(pets(label_func, RandomSplitter(0.3, seed=seed)), folder)
        assert message.startswith("KeyError: '4'")
        assert "in get_y=label_func, encoding PosixPath PosixPath('pets/x/4.png')" in message


def test_a_label_function_that_gives_nothing_for_one_file() -> None:
    folder = draw("x/1.png", "x/2.png", "x/3.png")
    block = pets(lambda file: {"1": "a", "2": "b"}.get(file.stem), FuncSplitter(lambda file: file.stem == "1"))
    assert "1 of 2 items have no label; the first is pets/x/3.png" in error_of(block, folder)


def test_pictures_of_different_sizes_without_a_resize() -> None:
    folder = draw(*[f"cat/{i}.png" for i in range(6)])
    draw(*[f"dog/{i}.png" for i in range(6)], size=(5, 5))
    with pytest.raises(DataError) as caught:
        pets().dataloaders(folder, bs=8, device="cpu")
    message = str(caught.value)
    assert "element 0 of the samples (TensorImage) has different shapes: (3, " in message
    assert "in pets/cat/" in message
    assert "in pets/dog/" in message
    assert "pass item_tfms=Resize(224)" in message


def test_a_truncated_picture_is_named() -> None:
    folder = draw("cat/1.png", "dog/2.png", "dog/3.png", size=(200, 200))
    damaged = folder / "dog/3.png"
    damaged.write_bytes(damaged.read_bytes()[:100])
    message = error_of(pets(), folder)
    assert "pets/dog/3.png" in message
    assert "while making item" in message
    assert "in open_picture, encoding" in message


def test_the_look_at_the_first_items_can_be_left_out() -> None:
    folder = draw("cat/1.png", "dog/2.png", "dog/3.png", "cat/4.png")
    (folder / "dog/3.png").write_bytes(b"")
    (folder / "dog/2.png").write_bytes(b"")
    splitter = FuncSplitter(lambda file: file.stem == "4")
    assert len(pets(splitter=splitter).dataloaders(folder, bs=2, device="cpu", check=False).train_ds) == 3


def test_an_item_in_two_splits() -> None:
    with pytest.raises(DataError, match=r"1 item\(s\) are both in split 0 and in split 1: \[2\]"):
        Datasets(["a", "b", "c"], [[Categorize()]], splits=[[0, 2], [1, 2]])
