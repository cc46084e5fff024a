"""What `load_learner` makes of files that no export wrote: errors that say where, and nothing else."""

import copy
import inspect
import json
import pkgutil
import socket
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import laminar
from laminar.core.annotations import expected_arguments
from laminar.core.errors import ConfigError, DataError, MissingExtraError, VerificationError, WeightsError
from laminar.core.transform import Transform
from laminar.learner import load_learner
from laminar.vision.augment import aug_transforms
from laminar.vision.crop import Resize
from laminar.vision.data import ImageDataLoaders
from laminar.vision.learner import vision_learner
from laminar.vision.models.xresnet import xresnet_small

SAID = (ConfigError, DataError, WeightsError, MissingExtraError, VerificationError)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures")
    files = [path / f"{label}_{i}.png" for label in ("cat", "dog") for i in range(3)]
    for file in files:
        Image.new("RGB", (20, 20), (60, 20, 200)).save(file)
    dls = ImageDataLoaders.from_name_re(
        path, files, r"^(.*)_", item_tfms=Resize(16), batch_tfms=aug_transforms(size=12), bs=2, valid_pct=0.5, seed=1
    )
    return vision_learner(dls, xresnet_small, lin_ftrs=[8], path=path).export("learner.laminar")


@pytest.fixture(scope="module")
def members(exported: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(exported) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(file: Path, members: dict[str, bytes], manifest: Any = None) -> Path:
    changed = {} if manifest is None else {"manifest.json": json.dumps(manifest).encode()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in (members | changed).items():
            archive.writestr(name, content)
    return file


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value in nested lists and dicts."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def error_of(file: Path) -> str | None:
    """What is said when `file` is loaded; None if it is a learner after all."""
    try:
        load_learner(file)
    except SAID as error:
        return "\n".join([str(error), *getattr(error, "__notes__", [])])
    return None


class Watch:
    """Notes what the process opens, connects to, starts or unpickles."""

    def __init__(self) -> None:
        self.on, self.seen = False, []
        sys.addaudithook(self.note)

    def note(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        name = str(args[0]) if args else ""
        imported = name.startswith(
            (sys.prefix, sys.base_prefix, "/proc/")
        )  # packages that are looked for the first time
        if event == "open" and not imported and not name.endswith((".py", ".pyc", ".so")):
            self.seen.append(name)
        elif event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "pickle.find_class"):
            self.seen.append(event)


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


def mutate(manifest: Any, draw: Any) -> None:
    """Change one place, leave it out, put something in, or exchange two."""
    ways = list(places(manifest))
    way = draw(st.sampled_from(ways))
    holder = manifest
    for key in way[:-1]:
        holder = holder[key]
    kind = draw(st.sampled_from(["replace", "replace", "remove", "exchange", "add"]))
    if kind == "remove":
        del holder[way[-1]]
    elif kind == "exchange":
        other = manifest
        for key in draw(st.sampled_from(ways)):
            other = other[key]
        holder[way[-1]] = copy.deepcopy(other)
    elif kind == "add" and isinstance(holder, dict):
        holder[draw(st.sampled_from(ADDED))] = copy.deepcopy(draw(VALUES))
    else:
        holder[way[-1]] = copy.deepcopy(draw(VALUES))


ADDED = ["pretrained", "weights", "lin_ftrs", "p", "size", "arch", "$build", "$name", "split_idx"]
NAMES = [
    "resnet18", "nonsense", "/etc/hostname", "os:system", "laminar.core.recipe:builder", "torch:load", "builtins:eval",
    "laminar.vision.learner:create_vision_model", "laminar.vision.learner:vision_network", "laminar.:", "",
    "laminar.core.transform:Transform", "laminar.vision.images:PILImage.create", "laminar.data.external:untar_data",
    "laminar.nn.losses:MSELossFlat", "laminar.core.pipeline:Pipeline", "laminar.vision.crop:RandomCrop",
    "laminar.learner:load_learner",
]  # fmt: skip
PLAIN = st.one_of(
    st.none(), st.booleans(), st.sampled_from([-3, 0, 1, 7, 2**31, 10**15, -1.5, float("nan"), float("inf")]),
    st.sampled_from(NAMES),
)  # fmt: skip
VALUES = st.one_of(
    PLAIN, st.lists(PLAIN, max_size=3), st.just({}), st.sampled_from(NAMES).map(lambda name: {"$name": name}),
    st.sampled_from(NAMES).map(lambda name: {"$build": name, "arguments": {}}),
    st.sampled_from(NAMES).map(lambda name: {"$transform": name, "arguments": {}}),
    PLAIN.map(lambda x: {"$dict": [[x, x]]}),
    st.just({"$tuple": [1, 2]}), st.just({"$tensor": "tensor_0", "type": None}), st.just({"$dtype": "float32"}),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_mutated_manifests_give_an_error_of_ours_or_a_learner_and_touch_nothing(
    data: st.DataObject, members: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, watch: Watch
) -> None:
    manifest = json.loads(members["manifest.json"])
    for _ in range(data.draw(st.integers(1, 2))):
        mutate(manifest, data.draw)
    file = write(tmp_path_factory.getbasetemp() / "mutated.laminar", members, manifest)
    watch.seen.clear()
    watch.on = True
    try:
        error = error_of(file)
    finally:
        watch.on = False
    assert error is None or file.name in error
    golden = str(Path(tempfile.gettempdir()) / "laminar-golden-")  # where its own items lie while they are predicted
    assert {name for name in watch.seen if not name.startswith(golden)} <= {str(file)}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_files_are_told_by_name(
    data: st.DataObject, exported: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(exported.read_bytes())
    start = data.draw(st.integers(0, len(content) - 1) | st.integers(len(content) - 400, len(content) - 1))
    if data.draw(st.booleans()):
        content[start] ^= data.draw(st.integers(1, 255))
    else:
        del content[start : start + data.draw(st.integers(1, 5000))]
    file = tmp_path_factory.getbasetemp() / "damaged.laminar"
    file.write_bytes(content)
    error = error_of(file)
    assert error is None or file.name in error


MALFORMED: dict[str, tuple[Any, str]] = {
    "data": ({}, r"data: unknown kind of data None"),
    "data ": (5, r"data: loaders are expected, not int 5"),
    "loss": (5, r"loss: a loss that decodes is expected, not int 5"),
    "model_tfms": ([5], r"model_tfms: a list of transforms is expected, not \[int 5\]"),
    "model": ([], r"model: a call is expected"),
    "model.arguments": (5, r"model: arguments is int 5, not dict"),
    "model.arguments.n_in": (-3, r"model: .* at least one channel .* n_in=-3"),
    "model.arguments.n_out": ("2", r"model\.n_out is str '2', but laminar\.vision\.learner:vision_network takes int"),
    "model.arguments.arch": ("resnet999", r"model: .*no classifier is called 'resnet999'"),
    "model.arguments.pretrained": (True, r"model: .*vision_network takes no argument 'pretrained'"),
    "model.arguments.weights": ("/etc/hostname", r"model: .*takes no argument 'weights'"),
    "model.$build": ("laminar.vision.learner:create_vision_model", r"model: .* is not what the file takes it for"),
    "data.arguments.bs": (-1, r"data: .*bs=-1"),
    "data.arguments.n_inp": (7, r"data: .*n_inp=7"),
    "data.arguments.after_item": ({"$pipeline": 3, "split_idx": 1}, r"data\.after_item: \$pipeline is int 3, not list"),
    "data.arguments.types": ([3], r"data\.types is .* takes Sequence\[type\]"),
}


@pytest.mark.parametrize("field", MALFORMED)
def test_a_malformed_field_is_named(field: str, members: dict[str, bytes], tmp_path: Path) -> None:
    manifest = json.loads(members["manifest.json"])
    holder = manifest
    *way, last = field.strip().split(".")
    for key in way:
        holder = holder[key]
    value, message = MALFORMED[field]
    holder[last] = value
    file = write(tmp_path / "bad.laminar", members, manifest)
    with pytest.raises((DataError, ConfigError), match=rf"bad\.laminar: {message}"):
        load_learner(file)


@pytest.mark.parametrize(
    "sizes", [{"n_out": 10**9}, {"n_in": 10**8}, {"lin_ftrs": [10**6, 10**6]}, {"arch": "vit_h_14"}]
)
def test_sizes_that_the_weights_do_not_have_take_no_memory(
    sizes: dict[str, Any], members: dict[str, bytes], tmp_path: Path
) -> None:
    manifest = json.loads(members["manifest.json"])
    manifest["model"]["arguments"].update(sizes)
    file = write(tmp_path / "large.laminar", members, manifest)
    with pytest.raises((WeightsError, DataError, ConfigError)):
        load_learner(file)


def test_data_within_data_without_end_is_refused(members: dict[str, bytes], tmp_path: Path) -> None:
    for depth in (100, 200_000):
        deep = json.dumps(json.loads(members["manifest.json"]) | {"data": "HERE"})
        nested = deep.replace('"HERE"', "[" * depth + "]" * depth).encode()
        file = write(tmp_path / "deep.laminar", members | {"manifest.json": nested})
        with pytest.raises(DataError, match=r"deep\.laminar"):
            load_learner(file)


def test_loading_leaves_random_generators_alone(exported: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_learner(exported)
    assert torch.equal(torch.rand(3), expected)


def test_loading_needs_no_network(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    load_learner(exported)


def everything() -> Iterator[Any]:
    """All classes and functions that laminar defines."""
    for info in pkgutil.walk_packages(laminar.__path__, "laminar."):
        if not info.name.rpartition(".")[2].startswith("_"):
            module = import_module(info.name)
            for thing in vars(module).values():
                if getattr(thing, "__module__", None) == info.name and callable(thing):
                    yield thing


def test_what_a_file_may_build_has_annotations_to_check_and_fetches_no_weights() -> None:
    builders = [thing for thing in everything() if getattr(thing, "recipe_builder", False)]
    transforms = [thing for thing in everything() if isinstance(thing, type) and issubclass(thing, Transform)]
    assert len(builders) > 5
    assert len(transforms) > 30
    for thing in builders + transforms:
        expected = expected_arguments(thing)
        unsafe = {"pretrained", "weights"} & set(expected) if not isinstance(thing, type) else set()
        assert not unsafe, f"{thing} may be called from a file"
        assert not any(p.kind is p.VAR_KEYWORD for p in inspect.signature(thing).parameters.values()) or expected
