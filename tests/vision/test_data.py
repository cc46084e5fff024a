from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from laminar.core.errors import ConfigError, DataError
from laminar.core.rebuilding import from_recipe
from laminar.core.recipe import to_recipe
from laminar.core.types import TensorCategory, TensorFloat, TensorImage, TensorImageBW, TensorMask, TensorMultiCategory
from laminar.data.block import DataBlock
from laminar.data.blocks import CategoryBlock
from laminar.data.sources import get_image_files
from laminar.data.splitters import RandomSplitter
from laminar.vision.augment import Augment, Brightness, Flip, Rotate, aug_transforms
from laminar.vision.blocks import AddMaskCodes, ImageBlock, MaskBlock, OpenImage
from laminar.vision.crop import Resize
from laminar.vision.data import ImageDataLoaders
from laminar.vision.erasing import RandomErasing
from laminar.vision.images import PILImage, PILImageBW, PILMask

MakeFolder = Callable[..., Path]


def label_of(path: Path) -> str:
    return path.name.split("_")[0]


def test_from_folder_reads_the_folders_that_are_named(make_folder: MakeFolder) -> None:
    path = make_folder({"train": 4, "validation": 2})
    dls = ImageDataLoaders.from_folder(
        path, valid="validation", item_tfms=Resize(16), batch_tfms=aug_transforms(), bs=4
    )
    assert list(dls.vocab) == ["cat", "dog"]
    assert (len(dls.train_ds), len(dls.valid_ds)) == (8, 4)
    x, y = dls.one_batch()
    assert (type(x), type(y)) == (TensorImage, TensorCategory)
    assert x.shape == (4, 3, 16, 16)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert 0 <= x.min() <= x.max() <= 1
    assert dls.path == path


def test_every_convention_gives_the_same_labels(make_folder: MakeFolder) -> None:
    path = make_folder({"train": 5})
    files = get_image_files(path)
    labels = [label_of(file) for file in files]
    frame = pd.DataFrame({"name": [str(file.relative_to(path)) for file in files], "label": labels})
    frame.to_csv(path / "labels.csv", index=False)
    options = {"valid_pct": 0.3, "seed": 1, "item_tfms": Resize(8)}
    made = [
        ImageDataLoaders.from_folder(path, **options),
        ImageDataLoaders.from_path_func(path, files, label_of, **options),
        ImageDataLoaders.from_name_func(path, files, lambda name: name.split("_")[0], **options),
        ImageDataLoaders.from_path_re(path, files, r"/([^/]+)_\d+.png$", **options),
        ImageDataLoaders.from_name_re(path, files, r"^([^/]+)_\d+.png$", **options),
        ImageDataLoaders.from_df(frame, path, **options),
        ImageDataLoaders.from_csv(path, **options),
        ImageDataLoaders.from_lists(path, files, labels, **options),
    ]
    for dls in made:
        assert list(dls.vocab) == ["cat", "dog"]
        x, y = next(iter(dls.valid))
        assert len(y) == 3
        assert [x[i, target].mean() > x[i, 1 - target].mean() for i, target in enumerate(y.tolist())] == [True] * 3


def test_columns_and_lists_say_what_kind_of_target_they_are(make_folder: MakeFolder) -> None:
    path = make_folder({"train": 4})
    files = get_image_files(path)
    n = len(files)
    frame = pd.DataFrame({"name": [str(file.relative_to(path)) for file in files]})
    frame["tags"] = ["a b", "b"] * (n // 2)
    frame["age"] = np.linspace(0, 1, n)
    frame["height"] = np.linspace(1, 2, n)

    def target(label_col: object, **options: object) -> type:
        dls = ImageDataLoaders.from_df(frame, path, label_col=label_col, item_tfms=Resize(8), **options)
        return type(dls.one_batch()[1])

    assert target("tags") is TensorCategory
    assert target("tags", label_delim=" ") is TensorMultiCategory
    assert target("age") is TensorFloat
    assert target(["age", "height"]) is TensorFloat


@pytest.mark.parametrize(
    ("labels", "kind", "shape"),
    [
        (["a", "b"] * 4, TensorCategory, ()),
        (np.array(["a", "b"] * 4), TensorCategory, ()),
        ([0, 1] * 4, TensorCategory, ()),
        (np.arange(8, dtype=np.int64) % 2, TensorCategory, ()),
        (pd.Series(["a", "b"] * 4, index=range(10, 18)), TensorCategory, ()),
        ([["a"], ["a", "b"]] * 4, TensorMultiCategory, (2,)),
        ([[], ["a", "b"]] * 4, TensorMultiCategory, (2,)),
        ([[1, 2], [2, 3]] * 4, TensorMultiCategory, (3,)),
        ([0.5] * 8, TensorFloat, ()),
        ([1, 0.5] * 4, TensorFloat, ()),
        (list(np.linspace(0, 1, 8, dtype=np.float32)), TensorFloat, ()),
        (np.linspace(0, 1, 8, dtype=np.float32), TensorFloat, ()),
        (list(torch.linspace(0, 1, 8)), TensorFloat, ()),
        (pd.Series(np.linspace(0, 1, 8)), TensorFloat, ()),
        ([[0.0, 0.5], [1, 0.25]] * 4, TensorFloat, (2,)),
        ([(0.0, 0.5), (1.0, 0.25)] * 4, TensorFloat, (2,)),
        (np.zeros((8, 3), dtype=np.float16), TensorFloat, (3,)),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, type | tuple) else "",
)
def test_labels_in_a_list_say_what_kind_of_target_they_are(
    make_folder: MakeFolder, labels: Any, kind: type, shape: tuple[int, ...]
) -> None:
    path = make_folder({"train": 4})
    dls = ImageDataLoaders.from_lists(path, get_image_files(path), labels, seed=0, item_tfms=Resize(8), bs=2)
    y = dls.one_batch()[1]
    assert (type(y), y.shape[1:]) == (kind, shape)


def test_a_missing_file_of_a_table_is_named_with_what_may_mend_it(make_folder: MakeFolder) -> None:
    path = make_folder({"train": 2})
    frame = pd.DataFrame({"name": ["cat_0", "cat_1", "dog_0", "dog_1"], "label": ["cat", "cat", "dog", "dog"]})
    with pytest.raises(DataError, match=r"(cat|dog)_\d: there is no such file") as caught:
        ImageDataLoaders.from_df(frame, path, item_tfms=Resize(8))
    assert isinstance(caught.value, FileNotFoundError)
    assert any("folder=" in note and "suff=" in note and "'name'" in note for note in caught.value.__notes__)
    file = path / "train" / "cat" / "cat_7.png"
    with pytest.raises(DataError, match=r"cat_7.png: there is no such file\.$"):
        PILImage.create(file)
    with pytest.raises(DataError, match=r"cat_1: there is no such file\. There is cat_1.png, with an ending\."):
        PILImage.create(file.with_name("cat_1"))
    with pytest.raises(DataError, match=r"no such file below the current folder, .*, and no folder nowhere\."):
        PILImage.create("nowhere/7.png")


def test_a_long_source_is_not_written_out_in_messages(make_folder: MakeFolder) -> None:
    path = make_folder({"train": 20})
    files = get_image_files(path)
    with pytest.raises(DataError, match=r"differ in length: \[40, 2\]") as caught:
        ImageDataLoaders.from_lists(path, files, ["a", "b"])
    notes = "\n".join(caught.value.__notes__)
    assert "in get_items=columns of (list of 40, list of 2)" in notes


def test_a_column_may_say_what_is_validation(make_folder: MakeFolder) -> None:
    path = make_folder({"train": 4})
    files = get_image_files(path)
    frame = pd.DataFrame({"name": [f.stem for f in files], "label": [label_of(f) for f in files]})
    frame["valid"] = [index in (0, 7) for index in range(8)]
    frame["name"] = [f"{label_of(f)}/{f.stem}" for f in files]
    dls = ImageDataLoaders.from_df(frame, path, folder="train", suff=".png", valid_col="valid", item_tfms=Resize(8))
    assert len(dls.valid_ds) == 2


def test_grey_pictures_are_asked_for_by_class(make_folder: MakeFolder) -> None:
    path = make_folder({"train": 3, "valid": 1})
    x, _ = ImageDataLoaders.from_folder(path, img_cls=PILImageBW, item_tfms=Resize(8)).one_batch()
    assert type(x) is TensorImageBW
    assert x.shape[1:] == (1, 8, 8)


def test_seed_is_that_of_the_split_alone(make_folder: MakeFolder) -> None:
    path = make_folder({"train": 6})
    one, two = (ImageDataLoaders.from_folder(path, valid_pct=0.5, seed=3, item_tfms=Resize(8)) for _ in range(2))
    assert list(one.valid_ds.items) == list(two.valid_ds.items)
    assert one.train.seed is None


def test_missing_folders_are_answered_with_those_there_are(make_folder: MakeFolder) -> None:
    path = make_folder({"train": 2, "validation": 1})
    with pytest.raises(DataError, match=r"no folder 'valid'; it has: train, validation.*valid=.*valid_pct"):
        ImageDataLoaders.from_folder(path)
    with pytest.raises(DataError, match=r"there is no such folder.*Did you mean 'pictures'"):
        ImageDataLoaders.from_folder(path.with_name("picture"))
    with pytest.raises(DataError, match=r"there is no file .*label.csv.*none"):
        ImageDataLoaders.from_csv(path, "label.csv")


def test_misspelt_keywords_get_the_nearest_one(make_folder: MakeFolder) -> None:
    path = make_folder({"train": 2, "valid": 1})
    with pytest.raises(TypeError, match=r"from_folder\(\).*'shuffel'.*Did you mean 'shuffle'"):
        ImageDataLoaders.from_folder(path, shuffel=True)
    with pytest.raises(TypeError, match=r"'vald'.*Did you mean 'valid'"):
        ImageDataLoaders.from_folder(path, vald="valid")
    with pytest.raises(TypeError, match=r"from_csv\(\).*'label_delm'.*Did you mean 'label_delim'"):
        ImageDataLoaders.from_csv(path, label_delm=" ")
    with pytest.raises(TypeError, match=r"from_lists\(\).*'lables'"):
        ImageDataLoaders.from_lists(path, [], [], lables=[])


def test_pictures_of_different_sizes_ask_for_a_resize(make_folder: MakeFolder) -> None:
    path = make_folder({"train": 3, "valid": 1})
    Image.new("RGB", (50, 20)).save(path / "train" / "cat" / "other.png")
    with pytest.raises(DataError, match=r"different shapes.*other.png.*Resize\(224\)"):
        ImageDataLoaders.from_folder(path)


def test_a_broken_picture_is_named_when_the_loaders_are_built(make_folder: MakeFolder) -> None:
    path = make_folder({"train": 1, "valid": 1})
    file = path / "train" / "dog" / "dog_0.png"
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(DataError, match=r"dog_0.png.*verify_images"):
        ImageDataLoaders.from_folder(path, item_tfms=Resize(8))


def test_single_steps_of_augmentation_are_joined(make_folder: MakeFolder) -> None:
    path = make_folder({"train": 2, "valid": 1})
    steps = [Flip(), Rotate(), Brightness()]
    dls = ImageDataLoaders.from_folder(path, item_tfms=Resize(8), batch_tfms=steps)
    augment = dls.train.after_batch.find(Augment)
    assert len(augment.space) == 2
    assert len(augment.light) == 1
    one = ImageDataLoaders.from_folder(path, item_tfms=Resize(8), batch_tfms=Flip())
    assert one.train.after_batch.find(Augment) is not None


def test_batches_are_the_same_for_any_number_of_workers(make_folder: MakeFolder) -> None:
    path = make_folder({"train": 4, "valid": 1}, size=40)

    def batches(num_workers: int) -> list[torch.Tensor]:
        torch.manual_seed(5)
        dls = ImageDataLoaders.from_folder(
            path, item_tfms=Resize(24), batch_tfms=aug_transforms(), bs=3, num_workers=num_workers, device="cpu"
        )
        return [x.as_subclass(torch.Tensor) for x, _ in dls.train]

    for here, there in zip(batches(0), batches(2), strict=True):
        assert torch.equal(here, there)


def test_masks_are_read_batched_and_know_their_codes(tmp_path: Path) -> None:
    for index in range(6):
        ids = np.full((20, 30), index % 3, dtype=np.uint8)
        Image.fromarray(ids).save(tmp_path / f"mask_{index}.png")
        Image.new("RGB", (30, 20), (index, 0, 0)).save(tmp_path / f"photo_{index}.png")

    block = DataBlock(
        blocks=(ImageBlock, MaskBlock(["sky", "road", "car"])),
        splitter=RandomSplitter(0.34, seed=0),
        get_y=lambda path: path.with_name(path.name.replace("photo", "mask")),
        item_tfms=Resize(16),
        batch_tfms=aug_transforms(),
    )
    dls = block.dataloaders([path for path in get_image_files(tmp_path) if "photo" in path.name], bs=2)
    x, y = dls.one_batch()
    assert (type(x), type(y)) == (TensorImage, TensorMask)
    assert y.shape == (2, 16, 16)
    assert y.dtype is torch.int64
    assert y.codes == ["sky", "road", "car"]
    assert dls.c == 3
    dls.show_batch()


def test_a_mask_with_an_unknown_class_is_named_with_what_to_do() -> None:
    mask = TensorMask(torch.tensor([[0, 1], [2, 255]], dtype=torch.uint8))
    with pytest.raises(DataError, match=r"holds class 2, but codes has 2 classes \(0 to 1\).*ignore_index=2"):
        AddMaskCodes(["a", "b"])(mask)
    assert AddMaskCodes(["a", "b", "c"], ignore_index=255)(mask).codes == ["a", "b", "c"]


def test_the_kind_of_picture_is_written_as_data() -> None:
    for cls in (PILImage, PILImageBW, PILMask):
        again = from_recipe(to_recipe(OpenImage(cls), {}), {})
        assert again.kind is cls
    with pytest.raises(ConfigError, match="derive from PILBase"):
        ImageBlock(Image.Image)


def test_a_block_opens_new_items_of_any_kind(make_folder: MakeFolder) -> None:
    path = make_folder({"train": 3, "valid": 1})
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock), get_items=get_image_files, get_y=label_of, item_tfms=Resize(8)
    )
    dls = block.dataloaders(path, bs=2)
    file = get_image_files(path)[0]
    items = [file, str(file), file.read_bytes(), Image.open(file), np.asarray(Image.open(file)), PILImage.create(file)]
    x = torch.cat([batch[0].as_subclass(torch.Tensor) for batch in dls.test_dl(items)])
    assert all(torch.equal(picture, x[0]) for picture in x)


def test_names_that_are_absolute_paths_stay_as_they_are(make_folder: MakeFolder, tmp_path: Path) -> None:
    path = make_folder({"train": 3})
    files = get_image_files(path)
    frame = pd.DataFrame({"name": [str(file.resolve()) for file in files], "label": [label_of(file) for file in files]})
    dls = ImageDataLoaders.from_df(frame, tmp_path / "elsewhere", folder="inside", item_tfms=Resize(8), bs=2)
    assert dls.one_batch()[0].shape[-1] == 8


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            {"fn_col": "nam"},
            r"fn_col='nam' is no column of the data frame. Did you mean 'name'\? It has 2: name, label",
        ),
        ({"label_col": ["label", "labels"]}, r"label_col='labels' .* Did you mean 'label'\?"),
        ({"label_col": 7}, r"label_col=7 is no column"),
        ({"valid_col": "is_valid"}, r"valid_col='is_valid' is no column"),
    ],
)
def test_a_missing_column_is_told_before_anything_is_read(column: dict[str, object], message: str) -> None:
    frame = pd.DataFrame({"name": ["a.png"], "label": ["a"]})
    with pytest.raises(DataError, match=message):
        ImageDataLoaders.from_df(frame, **column)


def test_steps_given_to_a_block_become_one_and_stay_as_they_are(make_folder: MakeFolder) -> None:
    path = make_folder({"train": 4, "valid": 2})
    given = [Flip(), Rotate(size=12), Brightness(), RandomErasing()]
    before = [dict(vars(step)) for step in given]
    block = DataBlock(
        (ImageBlock, ImageBlock, CategoryBlock), get_items=get_image_files, get_y=label_of, n_inp=2,
        item_tfms=Resize(16), batch_tfms=given, splitter=RandomSplitter(seed=1),
    )  # fmt: skip
    for _ in range(2):  # a block can be used again
        dls = block.dataloaders(path, bs=4)
        kinds = [type(step).__name__ for step in dls.train.after_batch]
        assert kinds == ["Augment", "IntToFloatTensor", "RandomErasing"]
        assert dls.train.after_batch[0].size == 12
        assert [batch[0].shape[-1] for batch in (dls.train.one_batch(), dls.valid.one_batch())] == [12, 12]
    assert [dict(vars(step)) for step in given] == before
    assert block.new(batch_tfms=Flip()).batch_tfms[0].space[0].p == 0.5
