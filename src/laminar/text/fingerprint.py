"""What decides the tokens of texts, in a few letters: so that a cache is used only where it holds the same."""

from __future__ import annotations

import functools
import hashlib
import re
import types
from collections.abc import Iterable
from typing import Any

from laminar.core.errors import ConfigError
from laminar.core.recipe import to_recipe

__all__ = ["digest_of_texts", "digests", "fingerprint"]

_VERSION = "1"  # of what the library's own rules and tokenizers do: one more whenever that changes


def fingerprint(*parts: Any) -> str | None:
    """Some letters that are others when one of `parts` does another thing; None if that cannot be known.

    Of functions their code counts, with the texts and expressions it names: a rule that was edited is another rule.
    """
    whole = hashlib.blake2b(_VERSION.encode(), digest_size=16)
    for part in parts:
        described = _described(part)
        if described is None:
            return None
        whole.update(f"|{described}".encode())
    return whole.hexdigest()


def _described(thing: Any) -> str | None:
    if isinstance(thing, list | tuple):
        inner = [_described(part) for part in thing]
        return None if None in inner else f"[{','.join(map(str, inner))}]"
    if isinstance(thing, functools.partial):
        return _described([thing.func, list(thing.args), *sorted((thing.keywords or {}).items())])
    if isinstance(thing, re.Pattern):
        return f"{thing.pattern!r} {thing.flags}"
    if isinstance(thing, types.FunctionType):
        return _described_function(thing)
    try:
        return str(to_recipe(thing, {}))
    except ConfigError:
        return None


def _described_function(function: types.FunctionType) -> str | None:
    name = f"{function.__module__}:{function.__qualname__}"
    if function.__module__.startswith("laminar."):
        return name
    code = function.__code__
    closed = [cell.cell_contents for cell in function.__closure__ or ()]
    used = [value for key in code.co_names if isinstance(value := function.__globals__.get(key), str | re.Pattern)]
    inner = _described([list(function.__defaults__ or ()), closed, used])
    return None if inner is None else f"{name}({_code(code)},{inner})"


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
