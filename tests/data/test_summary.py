"""`DataBlock.summary`: every step in words, and a verdict that is true."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from laminar.core.transform import Transform
from laminar.core.types import TensorImage
from laminar.data import (
    CategoryBlock,
    DataBlock,
    IndexSplitter,
    ItemGetter,
    Normalize,
    SkipItemException,
    TransformBlock,
    WeightedDL,
)

Recipe = dict[str, Any]


def picture(number: int) -> TensorImage:
    return TensorImage(torch.full((3, 4, 4), float(number)))


def bad(*numbers: int) -> Recipe:
    """A recipe whose items with these numbers cannot be made."""

    def read(number: int) -> TensorImage:
        if number in numbers:
            raise OSError(f"picture {number} is broken")
        return picture(number)

    return {"blocks": (TransformBlock(read), CategoryBlock)}


def left_out(number: int) -> TensorImage:
    if number < 2:
        raise SkipItemException
    return picture(number)


class NeedsMore(Transform):
    def setups(self, items: Any) -> None:
        raise ValueError("there is nothing to learn from these items")


def grows(number: int) -> TensorImage:
    return TensorImage(torch.ones(3, 4, 4 + number))


def padded(samples: list) -> Any:  # type: ignore[type-arg]  # a transform is chosen by classes
    return [(torch.nn.functional.pad(x, (0, 60 - x.shape[-1])), y) for x, y in samples]


def recipe(**changes: Any) -> DataBlock:
    options = {
        "blocks": (TransformBlock(picture), CategoryBlock),
        "get_y": lambda number: "odd" if number % 2 else "even",
        "splitter": IndexSplitter(list(range(30, 40))),
        **changes,
    }
    return DataBlock(**options)


WORKS: dict[str, tuple[Recipe, Recipe]] = {
    "all is well": ({}, {}),
    "the first item is bad, and may be left out": (bad(0), {"on_bad_item": "skip"}),
    "more bad items than are followed may be left out": (
        bad(0, 1, 2, 3, 4, 5),
        {"on_bad_item": "skip", "bad_item_budget": 9},
    ),
    "the first item is bad, and nobody checks": (bad(0), {"check": False}),
    "all items are bad, and nobody checks": (bad(*range(40)), {"check": False}),
    "a transform leaves out the first items": ({"blocks": (TransformBlock(left_out), CategoryBlock)}, {}),
    "items of many sizes, one in a batch": ({"blocks": (TransformBlock(grows), CategoryBlock)}, {"bs": 1}),
    "items of many sizes, padded": (
        {"blocks": (TransformBlock(grows), CategoryBlock)},
        {"before_batch": padded, "bs": 7},
    ),
    "batches made by the user": ({}, {"create_batch": len}),
    "items made by the user": (bad(*range(40)), {"create_item": lambda index: (torch.tensor(index), 1)}),
    "fewer items than a summary shows": ({}, {"n": 2}),
    "a loader of another class": ({}, {"dl_type": WeightedDL, "dl_kwargs": [{"wgts": [1.0] * 30}, {}]}),
}

FAILS: dict[str, tuple[Recipe, Recipe]] = {
    "the first item is bad": (bad(0), {}),
    "a bad item that is looked at in large batches": (bad(29), {}),
    "a bad item of validation": (bad(30), {}),
    "a getter that does not fit": ({"get_y": ItemGetter(3)}, {}),
    "items of many sizes": ({"blocks": (TransformBlock(grows), CategoryBlock)}, {}),
    "a label that training has not": ({"get_y": lambda number: "abc"[(number > 20) + (number > 35)]}, {}),
    "one class": ({"get_y": lambda number: "same"}, {}),
    "an empty split": ({"splitter": IndexSplitter([])}, {}),
    "no items": ({"get_items": lambda source: []}, {}),
    "a transform that cannot be set up": ({"batch_tfms": NeedsMore()}, {}),
    "a transform of batches that fails": ({"batch_tfms": lambda batch: batch[7]}, {}),
    "no batch": ({}, {"drop_last": True, "n": 3, "bs": 4}),
    "a misspelt argument": ({}, {"shuffel": True}),
    "more bad items than may be left out": (bad(*range(40)), {"on_bad_item": "skip"}),
}


@pytest.mark.parametrize("case", WORKS)
def test_pain_09_a_summary_never_fails_where_the_loaders_can_be_made(
    case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    changes, options = WORKS[case]
    recipe(**changes).dataloaders(list(range(40)), device="cpu", **options)
    recipe(**changes).summary(list(range(40)), device="cpu", **options)
    verdict = capsys.readouterr().out.rstrip().splitlines()[-1]
    assert verdict.startswith(("Verdict: this works", "Verdict: the loaders can be made, but item 0"))
    assert ("but" in verdict) == ("is bad" in case or "bad items" in case or "are bad" in case)


@pytest.mark.parametrize("case", FAILS)
def test_pain_09_a_summary_fails_where_the_loaders_cannot_be_made_with_the_same_error(
    case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    changes, options = FAILS[case]

    def outcome(attempt: Callable[..., Any]) -> tuple[type, str]:
        with pytest.raises(Exception, match=r".") as caught:
            attempt(list(range(40)), device="cpu", **options)
        return caught.type, str(caught.value).replace("summary", "dataloaders").partition("It takes")[0]

    expected = outcome(recipe(**changes).dataloaders)
    assert outcome(recipe(**changes).summary) == expected
    if case != "a misspelt argument":
        assert "fails: " in capsys.readouterr().out.rpartition("\nVerdict: ")[2]


def test_a_summary_tells_which_steps_changed_nothing_and_which_items_are_in_the_batch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe(item_tfms=[lambda x: x], batch_tfms=Normalize.from_stats([0.0] * 3, [2.0] * 3)).summary(
        range(40), device="cpu"
    )
    told = capsys.readouterr().out
    for part in (
        "40 items, divided into 30, 10",
        "The first training item: int 0",
        "picture makes it TensorImage (3, 4, 4) float32 from 0 to 0",
        " leaves it as it is",
        "A batch of 4 samples: int 0, int 1, int 2, int 3",
        "(TensorImage (4, 3, 4, 4) float32 from 0 to 3, ",
        " makes it (TensorImage (4, 3, 4, 4) float32 from 0 to 1.5, ",
    ):
        assert part in told


def test_a_summary_goes_on_with_the_next_item_where_one_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    recipe(**bad(0)).summary(list(range(40)), device="cpu", on_bad_item="skip")
    told = capsys.readouterr().out
    assert "read fails here\n  fails: OSError: picture 0 is broken" in told.replace("bad.<locals>.", "").replace(
        "Transform(read)", "read"
    )
    assert "The next training item: int 1" in told
    assert "A batch of 4 samples: int 1, int 2, int 3, int 4" in told
    assert told.endswith(
        "Verdict: the loaders can be made, but item 0 of training, int 0, cannot be made, and is left out.\n"
    )


def test_a_summary_follows_the_steps_up_to_the_one_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(IndexError):
        recipe(batch_tfms=[lambda batch: batch[7]]).summary(list(range(40)), device="cpu")
    told = capsys.readouterr().out
    assert "A batch of 4 samples" in told
    assert told.index("fails here") < told.index("Verdict: making the loaders fails: IndexError")


def files(*contents: bytes) -> list[Path]:
    made = [Path(f"{number}.bin") for number in range(len(contents))]
    for file, content in zip(made, contents, strict=True):
        file.write_bytes(content)
    return made


def of_files(valid: list[int]) -> DataBlock:
    return DataBlock(
        (TransformBlock(lambda file: torch.tensor(len(file.read_bytes()))), TransformBlock),
        get_y=lambda file: 0,
        splitter=IndexSplitter(valid),
    )


def test_a_summary_finds_files_that_stand_in_training_and_in_validation(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = files(b"one" * 5000, b"two" * 5000, b"six" * 5000, b"two" * 5000)
    block = of_files([2, 3])
    block.summary(made, device="cpu")
    told = capsys.readouterr().out
    assert "In more than one split: 1\n  the same bytes: 1.bin (training 1), 3.bin (validation 1)" in told
    assert "\nVerdict: this works, but 1 file(s) stand in more than one split, so validation" in told
    of_files([1, 3]).summary(made, device="cpu")
    assert capsys.readouterr().out.endswith("Verdict: this works.\n")


def test_leaks_are_files_named_twice_and_files_with_the_same_bytes() -> None:
    made = files(b"a" * 9000 + b"x", b"b" * 9000 + b"x", b"", b"", b"a" * 9000 + b"x")
    dls = of_files([4, 5]).dataloaders([*made, made[1]], device="cpu")
    assert [(leak.same_file, [place[:2] for place in leak.places]) for leak in dls.leaks()] == [
        (False, [(0, 0), (1, 0)]),
        (True, [(0, 1), (1, 1)]),
    ]
    [leak] = dls.leaks(by_bytes=False)
    assert str(leak) == "the same file: 1.bin (training 1), 1.bin (validation 1)"


def test_a_summary_leaves_the_random_state_alone(capsys: pytest.CaptureFixture[str]) -> None:
    def noisy(number: int) -> TensorImage:
        return picture(number) + random.random() + np.random.random() + torch.rand(1)

    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    recipe(blocks=(TransformBlock(noisy), CategoryBlock)).summary(list(range(40)), device="cpu")
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])
    assert "Verdict: this works." in capsys.readouterr().out
