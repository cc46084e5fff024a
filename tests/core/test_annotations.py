import enum
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NotRequired, Protocol, TypedDict, Unpack

import pytest

from laminar.core.annotations import expected_arguments, fits


class Colour(enum.Enum):
    RED = 1


class Named(Protocol):
    name: str


class Options(TypedDict, total=False):
    size: int
    name: NotRequired[str | None]


@pytest.mark.parametrize(
    ("hint", "right", "wrong"),
    [
        (int, [1, -3], [1.0, True, "1", None, [1]]),
        (float, [1, 1.5], [True, "1", None]),
        (str, ["a"], [1, ["a"], None]),
        (bool, [True], [1, "yes"]),
        (None, [None], [0]),
        (int | None, [1, None], ["a"]),
        (Literal["a", 1], ["a", 1], ["b"]),
        (Sequence[int], [[1], (1, 2), []], [1, "ab", [1, "a"]]),
        (Sequence[str], [["a"], ()], ["ab", [1]]),
        (list, [[1], (2,)], [3]),
        (tuple[int, str], [(1, "a"), [1, "a"]], [(1,), ("a", 1), (1, "a", 2), 5]),
        (tuple[float, ...], [(), (1, 2.5)], [("a",), 1.0]),
        (dict[str, int], [{"a": 1}, {}], [{"a": "b"}, {1: 1}, [("a", 1)]]),
        (Mapping[str, Any], [{"a": object()}], [{1: 1}]),
        (Callable[[int], int], [len, int], [3, None]),
        (type[Exception], [ValueError], [int, 3, ValueError()]),
        (type, [int], [3]),
        (Path, [Path("a"), "a"], [3]),
        (Colour, [Colour.RED], [1, "RED"]),
        (Sequence[int] | str, ["ab", [1]], [[None], 3]),
        (Any, [object()], []),
        (Named, [object()], []),
    ],
)
def test_values_fit_what_annotations_say(hint: Any, right: list[Any], wrong: list[Any]) -> None:
    assert all(fits(value, hint) for value in right)
    assert not any(fits(value, hint) for value in wrong)


def test_arguments_are_those_of_the_signature_and_of_listed_options() -> None:
    def function(a: int, *rest: str, b: "str | None" = None, c=3, **options: Unpack[Options]) -> None: ...

    assert list(expected_arguments(function)) == ["a", "b", "c", "size", "name"]
    assert expected_arguments(function)["b"] == str | None
    assert fits(None, expected_arguments(function)["c"])
    assert expected_arguments(function)["size"] is int
