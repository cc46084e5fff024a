"""The errors users can cause, and the helpers that make their messages finish the sentence."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

__all__ = [
    "LaminarError",
    "DataError",
    "MissingFileError",
    "ConfigError",
    "TrainingError",
    "WeightsError",
    "VerificationError",
    "MissingExtraError",
    "suggest",
    "check_keywords",
    "explains_keywords",
    "require",
    "describe",
]

P = ParamSpec("P")
R = TypeVar("R")


class LaminarError(Exception):
    """Root of all errors laminar raises on purpose."""


class DataError(LaminarError, ValueError):
    """Something is wrong with what was read: a file, an item, a label, a batch."""


class MissingFileError(DataError, FileNotFoundError):
    """A file that an item or a table names is not there."""

    @classmethod
    def at(cls, path: Path, endings: Sequence[str] = ()) -> MissingFileError:
        """Say what is missing: the file, its folder too, or only an ending of its name.

        Args:
            path: of the file.
            endings: what such names usually end in, such as ``".jpg"``.
        """
        where = "" if path.is_absolute() else f" below the current folder, {Path.cwd()}"
        if not path.parent.is_dir():
            return cls(f"{path}: there is no such file{where}, and no folder {path.parent}.")
        longer = next((name for end in endings if (name := path.with_name(path.name + end)).is_file()), None)
        found = f" There is {longer.name}, with an ending." if longer else ""
        return cls(f"{path}: there is no such file{where}.{found}")


class ConfigError(LaminarError, ValueError):
    """Parts that were given do not fit each other: model and data, loss and targets, arguments."""


class TrainingError(LaminarError, ArithmeticError):
    """Training has come to a state from which it cannot go on: weights that are no numbers."""


class WeightsError(LaminarError, ValueError):
    """Weights cannot be found, or do not fit the model they are meant for."""


class VerificationError(LaminarError, ValueError):
    """A file is whole, and yet not what it was when it was written, or what it says does not come true here."""


class MissingExtraError(LaminarError, ImportError):
    """An optional package is needed here and not installed."""


_ALSO_CALLED = {
    "batch_size": "bs",
    "batchsize": "bs",
    "workers": "num_workers",
    "epochs": "n_epoch",
    "n_epochs": "n_epoch",
    "callbacks": "cbs",
    "transforms": "item_tfms",
    "learning_rate": "lr",
    "weight_decay": "wd",
}


def suggest(name: str, options: Iterable[str]) -> str:
    """Return " Did you mean 'shuffle'?" for the option closest to `name`, or known by it elsewhere, or an empty string.

    >>> suggest("shuffel", ["bs", "shuffle"]), suggest("max_lr", ["lr", "lr_max"])
    (" Did you mean 'shuffle'?", " Did you mean 'lr_max'?")
    """
    known = list(options)
    also = _ALSO_CALLED.get(name)
    words = set(name.split("_"))
    close = (
        ([also] if also in known else [])
        or [option for option in known if set(option.split("_")) == words]  # the same words in another order
        or difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        or [option for option in known if words < set(option.split("_"))]  # one word of it
    )
    return f" Did you mean {close[0]!r}?" if close else ""


def check_keywords(given: Mapping[str, Any], allowed: type | Iterable[str], where: str) -> None:
    """Refuse keyword arguments that `where` does not know.

    Args:
        given: the keyword arguments that arrived as ``**options``.
        allowed: a ``TypedDict`` class or the allowed names.
        where: what was called, as the user wrote it: ``"ImageDataLoaders.from_folder"``.

    Raises:
        TypeError: naming the first unknown argument, the closest known one and all known ones.
    """
    names = list(allowed.__annotations__) if isinstance(allowed, type) else list(allowed)
    for name in given:
        if name not in names:
            raise TypeError(
                f"{where}() got an unexpected keyword argument {name!r}.{suggest(name, names)}"
                f" It takes: {', '.join(sorted(names))}."
            )


def explains_keywords(owner: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a method answer keyword arguments that it does not know with those it takes.

    Args:
        owner: the class as users know it, for the message.
    """

    def explain(method: Callable[P, R]) -> Callable[P, R]:
        names = [name for name in inspect.signature(method).parameters if name != "self"]

        @functools.wraps(method)
        def asked(*args: P.args, **kwargs: P.kwargs) -> R:
            check_keywords(kwargs, names, f"{owner}.{method.__name__}")
            return method(*args, **kwargs)

        return asked

    return explain


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import an optional package where it is used.

    Args:
        module: name to import, for example ``"pandas"``.
        extra: laminar's extra that installs it.
        purpose: what it is needed for, to complete "... needs pandas".

    Raises:
        MissingExtraError: the package is absent; the message gives the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name not in (module, module.split(".")[0]):  # the package is there, something inside it is not
            raise
        raise MissingExtraError(
            f"{purpose} needs {module}, which is not installed. Run: pip install 'laminar[{extra}]'"
        ) from error


def describe(value: object) -> str:
    """Tell in a few words what a value is: type, shape, dtype, or a short repr. Used in error notes.

    >>> describe((1, "a"))
    "(int 1, str 'a')"
    """
    kind = type(value).__name__
    if isinstance(value, type):
        return f"class {value.__name__}"
    if isinstance(value, tuple | list) and type(value) in (tuple, list):
        inner = ", ".join(describe(part) for part in value[:4])
        more = f", ... {len(value)} in all" if len(value) > 4 else ""
        return f"({inner}{more})" if isinstance(value, tuple) else f"[{inner}{more}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {describe(part)}" for key, part in list(value.items())[:4]) + "}"
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None:
        return f"{kind} {tuple(shape)} {str(dtype).removeprefix('torch.')}"
    if shape is not None and hasattr(value, "columns"):
        return f"{kind} {tuple(shape)} of columns {', '.join(map(str, value.columns[:8]))}"
    filename = getattr(value, "filename", None)
    if filename:
        return f"{kind} of {filename}"
    text = repr(value)
    return f"{kind} {text if len(text) <= 200 else text[:197] + '...'}"
