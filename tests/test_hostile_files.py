"""Whatever bytes a file holds, reading it gives what it says or one of laminar's errors, and runs nothing.

Archives have theirs in data/test_archives.py, exported learners in learner/test_hostile_exports.py.
"""

import copy
import io
import json
import pickle
import random
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from laminar.callbacks import EMA, Checkpoint, GradientAccumulation
from laminar.core.durable import manifest_of
from laminar.core.errors import DataError, LaminarError, WeightsError
from laminar.data import DataLoader, DataLoaders
from laminar.data.transforms import ToTensor
from laminar.learner import Learner, load_learner
from laminar.text.subwords import PretrainedTokenizer, SubwordTokenizer
from laminar.vision.crop import Resize
from laminar.vision.data import ImageDataLoaders
from laminar.vision.images import PILImage, PILMask
from laminar.vision.learner import vision_learner
from laminar.vision.models.xresnet import xresnet_small

EXAMPLES = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def changes(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Some bytes changed, left out or put in, most of them near the beginning, where headers are."""
    seed, n = draw(st.integers(0, 2**32)), draw(st.integers(1, 4))

    def change(content: bytes) -> bytes:
        rng, result = random.Random(seed), bytearray(content)
        for _ in range(n):
            place = rng.randrange(min(len(result), rng.choice([20, 100, len(result)])))
            kind = rng.choice(["set", "set", "cut", "insert"])
            if kind == "set":
                result[place] = rng.choice([0, 255, 127, 128, rng.randrange(256)])
            elif kind == "insert":
                result[place:place] = rng.randbytes(rng.randrange(1, 20))
            elif len(result) > 1:
                del result[place : place + rng.randrange(1, min(len(result), 200))]
            result = result or bytearray(b"x")
        return bytes(result)

    return change


def outcome(read: Callable[[], object], name: str) -> None:
    """Read; an error must be one of laminar's, and say which file it is about."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of tags it leaves out
            read()
    except LaminarError as error:
        said = "\n".join([str(error), *getattr(error, "__notes__", [])])
    else:
        said = name
    assert name in said


# ---- pictures --------------------------------------------------------------------------------------------------------


def picture(kind: str, mode: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 52, 3), dtype=np.uint8)
    image = Image.fromarray(pixels) if mode != "I;16" else Image.fromarray(pixels[..., 0].astype(np.uint16) * 200)
    written = io.BytesIO()
    (image.convert(mode) if mode not in ("RGB", "I;16") else image).save(written, kind)
    return written.getvalue()


PICTURES = {
    f"{kind} {mode}": picture(kind, mode)
    for kind, mode in [
        ("JPEG", "RGB"), ("JPEG", "CMYK"), ("PNG", "RGB"), ("PNG", "P"), ("PNG", "I;16"), ("GIF", "P"), ("BMP", "RGB"),
        ("TIFF", "RGB"), ("WEBP", "RGB"), ("PPM", "RGB"), ("ICO", "RGB"), ("TGA", "RGB"), ("PCX", "RGB"),
    ]
}  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(sorted(PICTURES)), change=changes(), ending=st.sampled_from([".jpg", ".png", ".gif", ""]))
def test_changed_pictures_are_decoded_or_told_by_name(
    kind: str, change: Callable[[bytes], bytes], ending: str, tmp_path: Path
) -> None:
    file = tmp_path / f"changed{ending}"
    file.write_bytes(change(PICTURES[kind]))
    for reader in (PILImage, PILMask):
        outcome(lambda reader=reader: ToTensor()(Resize(16)(reader.create(file), split_idx=1)), file.name)


# ---- tables ----------------------------------------------------------------------------------------------------------


@EXAMPLES
@given(change=changes())
def test_changed_tables_give_loaders_or_are_told_by_name(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.png").write_bytes(PICTURES["PNG RGB"])
    table = "name,label\n" + "".join(f"{number}.png,{'ab'[number % 2]}\n" for number in range(6))
    (tmp_path / "labels.csv").write_bytes(change(table.encode()))
    outcome(lambda: ImageDataLoaders.from_csv(tmp_path, valid_pct=0.5, seed=1, item_tfms=Resize(16), bs=2), "")


# ---- tokenizers ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokenizer() -> str:
    pytest.importorskip("tokenizers")
    learned = SubwordTokenizer(60, "bpe").trained_on(["the cat sat on the mat and the dog ran away"] * 5).learned
    assert learned is not None
    return learned


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_changed_tokenizers_cut_words_or_are_told(data: st.DataObject, tokenizer: str) -> None:
    content = json.loads(tokenizer)
    for _ in range(data.draw(st.integers(1, 2))):
        way = data.draw(st.sampled_from(list(places(content))))
        holder = content
        for key in way[:-1]:
            holder = holder[key]
        holder[way[-1]] = data.draw(st.sampled_from([*VALUES, "\u00e9", "\u0000"]))
    outcome(lambda: list(SubwordTokenizer(60, "bpe", learned=json.dumps(content))(["the cat \u00e9"])), "")


def test_a_tokenizer_whose_compiled_part_panics_is_told(tokenizer: str, tmp_path: Path) -> None:
    """What it raises is no `Exception`, and would end a server."""
    content = json.loads(tokenizer)
    content["model"]["continuing_subword_prefix"] = "\u00e9"
    with pytest.raises(DataError, match="holds no tokenizer that works"):
        PretrainedTokenizer(json.dumps(content))
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(DataError, match=r"bytes\.json holds no tokenizer"):
        PretrainedTokenizer(tmp_path / "bytes.json")


# ---- weights ---------------------------------------------------------------------------------------------------------


def learner(path: Path, *, cbs: Any = None) -> Learner:
    torch.manual_seed(0)
    data = torch.utils.data.TensorDataset(torch.randn(40, 3), torch.randint(2, (40,)))
    dls = DataLoaders(DataLoader(data, bs=8, shuffle=True), DataLoader(data, bs=8), path=path)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    return Learner(dls, model, nn.CrossEntropyLoss(), cbs=cbs)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("weights")
    learn = learner(path)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
    torch.save(learn.model.state_dict(), path / "w.pth")
    return {".safetensors": learn.save("w").read_bytes(), ".pth": (path / "w.pth").read_bytes()}


@EXAMPLES
@given(change=changes(), ending=st.sampled_from([".safetensors", ".pth"]))
def test_changed_weights_are_read_or_told_and_the_model_is_never_half_loaded(
    change: Callable[[bytes], bytes], ending: str, weights: dict[str, bytes], tmp_path: Path
) -> None:
    learn = learner(tmp_path)
    before = copy.deepcopy(learn.model.state_dict())
    (tmp_path / "models").mkdir(exist_ok=True)
    (tmp_path / "models" / f"w{ending}").write_bytes(change(weights[ending]))
    loaded = False

    def load() -> None:
        nonlocal loaded
        learn.load(f"w{ending}")
        loaded = True

    outcome(load, "w")
    if not loaded:
        assert all(torch.equal(tensor, before[name]) for name, tensor in learn.model.state_dict().items())


def test_weights_that_unfold_are_refused_unread(weights: dict[str, bytes], tmp_path: Path) -> None:
    """Torch writes nothing compressed, and unfolds whatever is."""
    (tmp_path / "models").mkdir()
    file = tmp_path / "models" / "w.pth"
    stored = zipfile.ZipFile(io.BytesIO(weights[".pth"]))
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as folded:
        for name in stored.namelist():
            folded.writestr(name, stored.read(name))
    with pytest.raises(WeightsError, match=r"w\.pth was not read: .* is compressed"):
        learner(tmp_path).load("w.pth")


# ---- checkpoints -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run")
    learn = learner(path, cbs=[Checkpoint(every=3), EMA(), GradientAccumulation(16)])
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(2)
    return sorted((path / "checkpoints").glob("checkpoint-*"))[1]  # in the middle of an epoch


def copied(source: Path, target: Path, change: Callable[[Path], None]) -> Path:
    """A copy of a checkpoint, changed."""
    folder = target / "checkpoints" / source.name
    folder.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    change(folder)
    return folder


@EXAMPLES
@given(change=changes(), data=st.data())
def test_a_changed_checkpoint_is_refused(
    change: Callable[[bytes], bytes], data: st.DataObject, checkpoint: Path, tmp_path: Path
) -> None:
    name = data.draw(st.sampled_from(sorted(file.name for file in checkpoint.iterdir())))

    def damage(folder: Path) -> None:
        (folder / name).write_bytes(change((folder / name).read_bytes()))

    folder = copied(checkpoint, tmp_path, damage)
    go_on(tmp_path, folder)


def go_on(path: Path, folder: Path) -> None:
    """Resume, and let what is said of it pass by."""
    learn = learner(path, cbs=[EMA(), GradientAccumulation(16)])
    with learn.no_bar(), learn.no_logging(), redirect_stdout(io.StringIO()):
        outcome(lambda: learn.fit_one_cycle(2, resume=folder), "checkpoint")


VALUES = [None, True, -1, 0, 3, 2**40, 1.5, float("nan"), "text", [], {}, [1, 2], {"a": 1}]


def places(data: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*way, key)
        yield from places(value, (*way, key))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_checkpoint_whose_checksums_agree_and_whose_content_does_not_is_refused_or_goes_on(
    data: st.DataObject, checkpoint: Path, tmp_path: Path
) -> None:
    def forge(folder: Path) -> None:
        state = json.loads((folder / "state.json").read_bytes())
        way = data.draw(st.sampled_from(list(places(state))))
        holder = state
        for key in way[:-1]:
            holder = holder[key]
        holder[way[-1]] = data.draw(st.sampled_from(VALUES))
        written = json.dumps(state).encode()
        (folder / "state.json").write_bytes(written)
        resign(folder, "state.json", written)

    folder = copied(checkpoint, tmp_path, forge)
    go_on(tmp_path, folder)


def resign(folder: Path, name: str, content: bytes) -> None:
    """Give the manifest the checksum and size of a forged file."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"][name] = {"size": len(content), "crc32": zlib.crc32(content)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


# ---- nothing is unpickled --------------------------------------------------------------------------------------------


class Watch:
    """Notes what is unpickled, and what is started."""

    def __init__(self) -> None:
        self.on, self.seen = False, list[str]()
        sys.addaudithook(self.note)

    def note(self, event: str, args: tuple[Any, ...]) -> None:
        if self.on and event in ("pickle.find_class", "os.system", "subprocess.Popen", "socket.connect"):
            self.seen.append(event)


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


def test_the_watch_sees_a_pickle(watch: Watch) -> None:
    watch.seen.clear()
    watch.on = True
    pickle.loads(pickle.dumps(Path("x")))  # our own
    watch.on = False
    assert "pickle.find_class" in watch.seen


def test_no_way_of_loading_unpickles_or_starts_anything(
    watch: Watch, weights: dict[str, bytes], checkpoint: Path, tmp_path: Path
) -> None:
    files = [tmp_path / f"{label}_{number}.png" for label in ("cat", "dog") for number in range(3)]
    for file in files:
        file.write_bytes(PICTURES["PNG RGB"])
    dls = ImageDataLoaders.from_name_re(tmp_path, files, r"^(.*)_", item_tfms=Resize(16), bs=2, valid_pct=0.5, seed=1)
    exported = vision_learner(dls, xresnet_small, lin_ftrs=[8], path=tmp_path).export("learner.laminar")
    learn = learner(tmp_path)
    (tmp_path / "models").mkdir()
    for ending, content in weights.items():
        (tmp_path / "models" / f"w{ending}").write_bytes(content)
    folder = copied(checkpoint, tmp_path, lambda folder: None)
    assert manifest_of(folder)
    other = learner(tmp_path, cbs=[EMA(), GradientAccumulation(16)])
    with other.no_bar(), other.no_logging():
        watch.seen.clear()
        watch.on = True
        try:
            load_learner(exported).predict(files[0])
            learn.load("w.safetensors")
            learn.load("w.pth")
            other.fit_one_cycle(2, resume=folder)
        finally:
            watch.on = False
    assert watch.seen == []
