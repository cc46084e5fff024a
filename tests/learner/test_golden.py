"""An export carries raw items with their predictions, and whoever loads it finds out whether it still predicts so."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load, save
from torch import nn

from laminar.core.errors import DataError, VerificationError
from laminar.core.transform import Transform
from laminar.data.block import DataBlock
from laminar.data.blocks import CategoryBlock, TransformBlock
from laminar.data.raw_items import keep_item, read_item
from laminar.learner import Learner, load_learner
from laminar.learner import golden as golden_items
from laminar.vision.crop import Resize
from laminar.vision.data import ImageDataLoaders
from laminar.vision.learner import vision_learner
from laminar.vision.models.xresnet import xresnet_small


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    files = [path / f"{label}_{i}.png" for label in ("cat", "dog") for i in range(12)]
    for file in files:
        Image.fromarray(generator.integers(0, 255, (24, 30, 3), dtype=np.uint8)).save(file)
    dls = ImageDataLoaders.from_name_re(path, files, r"^(.*)_", item_tfms=Resize(16), bs=4, valid_pct=0.5, seed=1)
    learn = vision_learner(dls, xresnet_small, lin_ftrs=[8], path=path)
    return learn.export("learner.laminar")


def parts(file: Path) -> tuple[dict[str, bytes], Any]:
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return members, json.loads(members["manifest.json"])


def changed(file: Path, target: Path, members: dict[str, bytes], manifest: Any) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in (members | {"manifest.json": json.dumps(manifest).encode()}).items():
            archive.writestr(name, content)
    return target


def without_digests(manifest: Any) -> Any:
    """The manifest of a file whose changes no digest shows."""
    return manifest | {"format_version": 2}


def test_an_export_carries_eight_items_of_the_validation_set_and_still_loads_without_them(exported: Path) -> None:
    members, manifest = parts(exported)
    kept = manifest["golden"]["items"]
    assert len(kept) == 8
    pictures = load(members["tensors.safetensors"])
    originals = {file.read_bytes() for file in exported.parent.glob("*.png")}
    assert {bytes(pictures[item["file"]].numpy()) for item in kept} <= originals
    for file in exported.parent.glob("*.png"):
        file.rename(file.with_suffix(".gone"))
    try:
        assert load_learner(exported).dls.vocab == ["cat", "dog"]
    finally:
        for file in exported.parent.glob("*.gone"):
            file.rename(file.with_suffix(".png"))


def test_a_changed_byte_of_the_weights_is_found_by_its_digest(exported: Path, tmp_path: Path) -> None:
    members, manifest = parts(exported)
    weights = bytearray(members["model.safetensors"])
    weights[-1] ^= 1
    file = changed(exported, tmp_path / "x.laminar", members | {"model.safetensors": bytes(weights)}, manifest)
    with pytest.raises(VerificationError, match=r"x\.laminar: model\.safetensors is not what was written"):
        load_learner(file, verify=False)


def test_other_weights_are_refused_by_how_much_predictions_differ(exported: Path, tmp_path: Path) -> None:
    members, manifest = parts(exported)
    weights = {
        name: tensor * 1.5 if name.endswith("weight") else tensor
        for name, tensor in load(members["model.safetensors"]).items()
    }
    members["model.safetensors"] = save(weights)
    file = changed(exported, tmp_path / "x.laminar", members, without_digests(manifest))
    with pytest.raises(VerificationError, match=r"predictions of its 8 golden items differ by up to 0\.\d+ from those"):
        load_learner(file)
    assert load_learner(file, verify=False).model is not None


def test_another_resizing_is_refused(exported: Path, tmp_path: Path) -> None:
    members, manifest = parts(exported)
    text = json.dumps(manifest)
    assert '"name": "CROP"' in text.upper() or '"Crop"' in text
    other = json.loads(text.replace('"name": "Crop"', '"name": "Squish"').replace('"name": "CROP"', '"name": "SQUISH"'))
    assert other != manifest
    with pytest.raises(VerificationError, match="something that prepares items works otherwise here"):
        load_learner(changed(exported, tmp_path / "x.laminar", members, other))


def test_no_items_leave_the_house_when_none_shall(exported: Path) -> None:
    again = load_learner(exported).export("empty.laminar", golden=0)
    members, manifest = parts(again)
    assert "golden" not in manifest
    assert not any(name.startswith("golden") for name in load(members["tensors.safetensors"]))
    assert load_learner(again).dls.vocab == ["cat", "dog"]


class Half(Transform):
    "A number as a tensor, halved."

    def encodes(self, x: float) -> torch.Tensor:
        return torch.tensor([x / 2])


def build() -> nn.Module:
    return nn.Linear(1, 2)


def number_of(item: tuple[float, str]) -> float:
    return item[0]


def test_what_get_x_makes_of_an_item_is_kept_and_not_the_label(tmp_path: Path) -> None:
    block = DataBlock((TransformBlock(type_tfms=Half()), CategoryBlock), get_x=number_of, get_y=lambda item: item[1])
    learn = Learner(block.dataloaders([(float(n), "ab"[n % 2]) for n in range(30)], bs=4, path=tmp_path), build())
    learn.model_recipe = (build, {})
    file = learn.export()
    items = parts(file)[1]["golden"]["items"]
    assert len(items) == 6  # a fifth of 30
    assert all(set(item) == {"value"} and isinstance(item["value"], float) for item in items)
    assert load_learner(file, trust=[Half, build]).predict(3.0)[0] in ("a", "b")


def test_items_that_the_exported_learner_cannot_predict_are_told_when_it_is_written(tmp_path: Path) -> None:
    class Odd(Exception): ...

    class Fails(Half):
        def encodes(self, x: float) -> torch.Tensor:
            if self.broken:
                raise Odd
            return torch.tensor([x])

    Fails.broken = False
    block = DataBlock((TransformBlock(type_tfms=Fails()), CategoryBlock), get_x=number_of, get_y=lambda item: item[1])
    learn = Learner(block.dataloaders([(float(n), "ab"[n % 2]) for n in range(30)], bs=4, path=tmp_path), build())
    Fails.broken = True
    with pytest.raises(Odd) as error:
        golden_items.golden_data(learn.dls, learn.model, learn.loss_func, 3, {})
    assert any("export(..., golden=0)" in note for note in error.value.__notes__)


def equal(first: Any, second: Any) -> bool:
    if isinstance(first, Image.Image):
        return first.mode == second.mode and first.tobytes() == second.tobytes() and first.size == second.size
    if isinstance(first, torch.Tensor | np.ndarray):
        return type(first) is type(second) and first.dtype == second.dtype and bool((first == second).all())
    if isinstance(first, tuple | list):
        return type(first) is type(second) and all(map(equal, first, second))
    if isinstance(first, dict):
        return list(first) == list(second) and all(equal(first[key], second[key]) for key in first)
    return type(first) is type(second) and first == second


SIMPLE = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False), st.text(max_size=20),
    st.binary(min_size=1, max_size=20), st.just(np.arange(6.0).reshape(2, 3)), st.just(torch.arange(4)),
    st.sampled_from(["L", "RGB", "RGBA", "CMYK", "I", "F"]).map(lambda mode: Image.new(mode, (3, 2))),
)  # fmt: skip
ITEMS = st.recursive(
    SIMPLE,
    lambda part: (
        st.lists(part, max_size=3)
        | st.lists(part, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5), part, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(item=ITEMS)
def test_items_are_read_as_they_were_kept(item: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    tensors: dict[str, torch.Tensor] = {}
    data = json.loads(json.dumps(keep_item(item, tensors)))
    assert equal(read_item(data, tensors, tmp_path_factory.getbasetemp()), item)


def test_files_come_back_with_their_ending_and_as_text_if_they_were_text(tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_text("hello")
    for given_as in (file, str(file)):
        tensors: dict[str, torch.Tensor] = {}
        folder = tmp_path / type(given_as).__name__
        folder.mkdir()
        back = read_item(keep_item(given_as, tensors), tensors, folder)
        assert isinstance(back, str) == isinstance(given_as, str)
        assert Path(back).suffix == ".txt"
        assert Path(back).read_text() == "hello"


@pytest.mark.parametrize("item", [object(), Path("nowhere.png"), np.array(["text"]), [1, object()], bytes(3 * 2**20)])
def test_what_is_no_data_or_large_is_not_kept(item: Any) -> None:
    assert keep_item(item, {}) is None


@pytest.mark.parametrize(
    "data",
    [
        5, {}, {"value": []}, {"file": "../../x"},
        {"file": "t", "suffix": "/../x"}, {"picture": "t", "mode": "RGB", "size": [9, 9]},
        {"picture": "t", "mode": "nonsense", "size": [1, 1]}, {"picture": "t", "size": 3}, {"tuple": 3}, {"code": "t"},
    ],
)  # fmt: skip
def test_malformed_items_are_refused(data: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        read_item(data, {"t": torch.zeros(2, dtype=torch.uint8)}, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["word " * 60, "x" * 5000, "nothing\0here", ""])
def test_a_text_that_no_file_could_be_called_is_kept_as_a_text(text: str) -> None:
    assert keep_item(text, {}) == {"value": text}
