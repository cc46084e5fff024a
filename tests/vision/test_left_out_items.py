"""Pictures that cannot be read: named when loaders are built, or left out, and then every item keeps its own name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from laminar.core import ConfigError, DataError
from laminar.learner import load_learner
from laminar.vision.all import ImageDataLoaders, Resize, vision_learner, xresnet_small


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("valid", 9)):
        for kind in ("dark", "light"):
            (tmp_path / split / kind).mkdir(parents=True)
            for number in range(count):
                level = rng.integers(0, 90, (20, 20, 3)) + (150 if kind == "light" else 0)
                Image.fromarray(level.astype(np.uint8)).save(tmp_path / split / kind / f"{kind}{number}.png")
    return tmp_path


def loaders(folder: Path, **options: Any) -> Any:
    return ImageDataLoaders.from_folder(folder, valid="valid", item_tfms=Resize(16), bs=4, **options)


@pytest.mark.parametrize("content", [b"", b"hello"])
def test_one_bad_file_among_many_is_named_when_the_loaders_are_built(folder: Path, content: bytes) -> None:
    (folder / "valid" / "light" / "light4.png").write_bytes(content)
    with pytest.raises(DataError, match=r"light4\.png: cannot open this picture") as caught:
        loaders(folder)
    assert "1 of 42 files cannot be read: " in caught.value.__notes__[-1]


def test_all_bad_files_are_named_at_once_and_good_ones_of_rare_kinds_are_none(folder: Path) -> None:
    for number in range(7):
        (folder / "train" / "dark" / f"dark{number}.png").write_bytes(b"GIF89a")  # of the right kind, and too short
    Image.new("RGB", (20, 20)).save(folder / "train" / "light" / "rare.ppm")
    with pytest.raises(DataError, match=r"dark0\.png: cannot open") as caught:
        loaders(folder)
    note = caught.value.__notes__[-1]
    assert "7 of 43 files cannot be read: " in note
    assert "dark4.png and 2 more. Leave them out" in note


def test_bad_files_that_are_to_be_skipped_do_not_stop_anything(folder: Path) -> None:
    (folder / "valid" / "dark" / "dark2.png").write_bytes(b"hello")
    dls = loaders(folder, on_bad_item="skip", bad_item_budget=3)
    learn = vision_learner(dls, xresnet_small)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
    assert [Path(bad.name).name for bad in dls.bad_items] == ["dark2.png"]
    assert len(learn.dls.bad_items) == 1


# ---- exports ---------------------------------------------------------------------------------------------------------


def test_a_network_changed_since_it_was_made_is_not_exported_as_another(folder: Path, tmp_path: Path) -> None:
    learn = vision_learner(loaders(folder), xresnet_small)
    learn.model.append(torch.nn.Softplus())
    with pytest.raises(ConfigError, match=r"not what vision_network .* builds .*2: Softplus.* / nothing"):
        learn.export(tmp_path / "x.laminar")
    learn.model[2] = torch.nn.Linear(2, 2)
    with pytest.raises(ConfigError, match=r"2: Linear.* / nothing"):
        learn.export(tmp_path / "x.laminar")
    assert not (tmp_path / "x.laminar").exists()


def test_a_loaded_network_goes_on_training_in_the_groups_it_had(folder: Path, tmp_path: Path) -> None:
    dls = loaders(folder)
    learn = vision_learner(dls, xresnet_small)
    loaded = load_learner(learn.export(tmp_path / "x.laminar"))
    with pytest.raises(ConfigError, match="there was nothing to validate"):
        loaded.validate()
    with pytest.raises(ConfigError, match=r"the training loader gives no batch: 0 items, .* learn.dls = "):
        loaded.fit(1)
    loaded.dls = dls
    assert len(loaded.param_groups()) == 3
    with learn.no_bar(), loaded.no_bar():
        assert loaded.validate() == pytest.approx(learn.validate())  # normalised alike
    assert load_learner(loaded.export(tmp_path / "y.laminar")).model_tfms[0].mean.equal(learn.model_tfms[0].mean)
