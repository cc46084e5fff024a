"""What decides the tokens of texts, in a few letters: so that a cache is used only where it holds the same."""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
import sys
import types
from collections.abc import Iterable
from typing import Any

from laminar.core.errors import ConfigError
from laminar.core.recipe import to_recipe

__all__ = ["digest_of_texts", "digests", "fingerprint"]

_VERSION = "1"  # of what the library's own rules and tokenizers do: one more whenever that changes


def fingerprint(*parts: Any) -> str | None:
    """Some letters that are others when one of `parts` does another thing; None if that cannot be known.

    Of functions their code counts, and whatever it names of the module it is in, functions there as well: a rule that
    was edited, or whose table was, is another rule. Of other packages the version counts.
    """
    whole = hashlib.blake2b(_VERSION.encode(), digest_size=16)
    for part in parts:
        described = _described(part, ())
        if described is None:
            return None
        whole.update(f"|{described}".encode())
    return whole.hexdigest()


def _described(thing: Any, inside: tuple[Any, ...]) -> str | None:
    """What decides what a thing does; `inside` are the functions that are being described already."""
    members = _members(thing)
    if members is not None:
        found = [_described(member, inside) for member in members]
        return None if None in found else f"[{','.join(map(str, found))}]"
    if isinstance(thing, re.Pattern):
        return f"{thing.pattern!r} {thing.flags}"
    if isinstance(thing, types.FunctionType):
        return _described_function(thing, inside)
    if isinstance(thing, types.ModuleType):
        return _of_package(thing.__name__, "")
    if isinstance(thing, types.BuiltinFunctionType) or (isinstance(thing, type) and _is_of_python(thing.__module__)):
        return f"{thing.__module__}:{thing.__qualname__}"
    if isinstance(thing, types.MethodDescriptorType):  # str.lower
        return thing.__qualname__ if _is_of_python(thing.__objclass__.__module__) else None
    try:
        return str(to_recipe(thing, {}))
    except ConfigError:
        return None


def _members(thing: Any) -> list[Any] | None:
    """What something is made of, if it is made of several things."""
    if isinstance(thing, list | tuple):
        return list(thing)
    if isinstance(thing, dict):
        return [*thing.keys(), *thing.values()]
    if isinstance(thing, set | frozenset):
        return sorted(thing, key=repr)
    if isinstance(thing, functools.partial):
        return [thing.func, thing.args, thing.keywords]
    return None


def _described_function(function: types.FunctionType, inside: tuple[Any, ...]) -> str | None:
    home = inside[0].__module__ if inside else function.__module__
    if function in inside or function.__module__.startswith("laminar."):
        return f"{function.__module__}:{function.__qualname__}"
    if function.__module__.partition(".")[0] != home.partition(".")[0]:
        return _of_package(function.__module__, function.__qualname__)
    closed = [cell.cell_contents for cell in function.__closure__ or ()]
    named = [function.__globals__[name] for name in _names(function.__code__) if name in function.__globals__]
    inner = _described([function.__defaults__ or (), closed, named], (*inside, function))
    return None if inner is None else f"{function.__qualname__}({_code(function.__code__)},{inner})"


def _of_package(module: str, name: str) -> str:
    """Something of another package, which does the same as long as the package has the same version."""
    package = module.partition(".")[0]
    version = sys.version if _is_of_python(module) else getattr(sys.modules.get(package), "__version__", "")
    return f"{module}:{name} {version}"


def _is_of_python(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names and module != "__main__"


def _names(code: types.CodeType) -> list[str]:
    """What code names, and functions within it."""
    within = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    return sorted({*code.co_names, *itertools.chain.from_iterable(map(_names, within))})


def _code(code: types.CodeType) -> str:
    constants = [_code(part) if isinstance(part, types.CodeType) else repr(part) for part in code.co_consts]
    return f"{code.co_code.hex()} {constants} {code.co_names}"


def digests(keys: Iterable[str]) -> list[bytes]:
    """16 bytes for each text, the same for the same text."""
    blake = hashlib.blake2b
    return [blake(key.encode("utf-8", "surrogatepass"), digest_size=16).digest() for key in keys]


def digest_of_texts(each: Iterable[bytes]) -> str:
    """Letters for a whole list of texts, of the digests of each."""
    whole = hashlib.blake2b(digest_size=16)
    for digest in each:
        whole.update(digest)
    return whole.hexdigest()
