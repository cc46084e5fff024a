"""The command that looks at exported learners."""

import zipfile
from pathlib import Path

import pytest
from PIL import Image

from laminar.verify import main
from laminar.vision.crop import Resize
from laminar.vision.data import ImageDataLoaders
from laminar.vision.learner import vision_learner
from laminar.vision.models.xresnet import xresnet_small


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures")
    files = [path / f"{label}_{i}.png" for label in ("cat", "dog") for i in range(3)]
    for file in files:
        Image.new("RGB", (20, 20), (60, 20, 200)).save(file)
    dls = ImageDataLoaders.from_name_re(path, files, r"^(.*)_", item_tfms=Resize(16), bs=2, valid_pct=0.5, seed=1)
    return vision_learner(dls, xresnet_small, lin_ftrs=[8], path=path).export("learner.laminar")


def test_a_good_file_is_described(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(exported)]) == 0
    said = capsys.readouterr().out
    for part in ("good", "3 golden items predict as they did", "no pickle", "['cat', 'dog']", "model.safetensors"):
        assert part in said


def test_a_tampered_file_is_refused_and_the_others_are_looked_at(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(exported) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = bytearray(members["model.safetensors"])
    weights[-1] ^= 1
    bad = tmp_path / "bad.laminar"
    with zipfile.ZipFile(bad, "w") as archive:
        for name, content in (members | {"model.safetensors": bytes(weights)}).items():
            archive.writestr(name, content)
    assert main([str(bad), str(exported)]) == 1
    said = capsys.readouterr()
    assert "REFUSED" in said.err
    assert "digest differs" in said.err
    assert "good" in said.out
