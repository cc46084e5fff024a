"""The public surface is a checked-in list, so that a change of it shows in the diff.

``python tests/test_public_names.py`` (or ``make names``) writes the list anew.
"""

import builtins
import importlib
import inspect
import json
from pathlib import Path

import pytest

CHECKED_IN = Path(__file__).with_name("public_names.json")
STOREYS = [
    "laminar.core",
    "laminar.data",
    "laminar.nn",
    "laminar.optim",
    "laminar.metrics",
    "laminar.callbacks",
    "laminar.callbacks.telemetry",
    "laminar.learner",
    "laminar.interpret",
    "laminar.basics",
    "laminar.vision",
    "laminar.vision.all",
    "laminar.text",
    "laminar.text.all",
]
BUILTINS = set(dir(builtins))
# Overloads by type: their class says what they do to which type.
UNDOCUMENTED = {"encodes", "decodes", "setups"}


def public_names(module: str) -> list[str]:
    return sorted(importlib.import_module(module).__all__)


def own(value: object) -> bool:
    """Whether `value` was written here (``vision.all`` also hands on torch, numpy and the like)."""
    return str(getattr(value, "__module__", "")).startswith("laminar")


@pytest.mark.parametrize("module", STOREYS)
def test_public_names_are_the_checked_in_ones(module: str) -> None:
    expected = json.loads(CHECKED_IN.read_text())[module]
    assert public_names(module) == expected, "the public surface changed: if it should, run `make names` and commit"


@pytest.mark.parametrize("module", STOREYS)
def test_public_names_exist_once_and_shadow_no_builtin(module: str) -> None:
    names = public_names(module)
    assert [name for name in names if not hasattr(importlib.import_module(module), name)] == []
    assert len(set(names)) == len(names)
    assert BUILTINS.isdisjoint(names)


@pytest.mark.parametrize("module", STOREYS)
def test_every_public_name_and_method_has_a_docstring(module: str) -> None:
    undocumented = []
    for name in public_names(module):
        value = getattr(importlib.import_module(module), name)
        if not own(value) or not (inspect.isclass(value) or inspect.isroutine(value)):
            continue
        if not inspect.getdoc(value):
            undocumented.append(name)
        if inspect.isclass(value):
            undocumented += [f"{name}.{method}" for method in undocumented_methods(value)]
    assert undocumented == []


def undocumented_methods(cls: type) -> list[str]:
    methods = (name for name, value in vars(cls).items() if inspect.isroutine(value) or isinstance(value, property))
    public = (name for name in methods if not name.startswith("_") and name not in UNDOCUMENTED)
    return [name for name in public if not inspect.getdoc(getattr(cls, name))]


if __name__ == "__main__":
    CHECKED_IN.write_text(json.dumps({module: public_names(module) for module in STOREYS}, indent=2) + "\n")
