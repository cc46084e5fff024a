"""Texts through a tokenizer of the package ``tokenizers``, within bounds of time and memory."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from laminar.core.errors import DataError

__all__ = ["encoded", "patterns_of", "told_of"]

_SECONDS = 60.0  # of the processor, that expressions of a file may take for any texts,
_CHARACTERS_A_SECOND = 20_000  # and more for long ones; usual tokenizers read a hundred times as many


@contextmanager
def told_of(what: str) -> Iterator[None]:
    """Say of whatever tokenizers raises what it is about; it has no exceptions of its own.

    What panics in its compiled part is no `Exception`, and would pass by those who listen to such.
    """
    try:
        yield
    except DataError:
        raise
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise DataError(f"{what}: {error}") from error
        raise


def patterns_of(tokenizer: Any) -> list[str]:
    """The regular expressions that a tokenizer brings along, but for white space."""
    found: list[str] = []
    waiting = [json.loads(tokenizer.to_str())]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            found += [part["Regex"]] if isinstance(part.get("Regex"), str) else []
        waiting += part.values() if isinstance(part, dict) else part if isinstance(part, list) else []
    return [pattern for pattern in found if pattern != r"\s+"]


def encoded(tokenizer: Any, texts: Sequence[str], patterns: Sequence[str], **options: Any) -> Iterator[list[str]]:
    """The tokens of each text.

    Args:
        tokenizer: a ``tokenizers.Tokenizer``.
        texts: the texts.
        patterns: its expressions (`patterns_of`); if there are any, they may not take arbitrarily long.
        **options: for its ``encode_batch``.

    Raises:
        DataError: it cannot, or not in a time that any usual one needs a hundredth of.
    """
    with told_of("the tokenizer that was read does not work"):
        if patterns:
            found = _in_time(lambda: tokenizer.encode_batch(texts, **options), texts, patterns)
        else:
            found = tokenizer.encode_batch(texts, **options)
    words: dict[str, str] = {}  # each string once, however often it occurs
    for one in found:
        yield [words.setdefault(token, token) for token in one.tokens]


def _in_time(work: Callable[[], Any], texts: Sequence[str], patterns: Sequence[str]) -> Any:
    """What `work` returns; an error if it takes very long, since a search that backtracks may take for ever.

    It works in a thread, which cannot be stopped but is left behind; Ctrl-C is heard meanwhile.
    """
    ended: list[Any] = []

    def run() -> None:
        try:
            ended.append((work(), None))
        except BaseException as error:  # noqa: BLE001  # handed on below
            ended.append((None, error))

    size = sum(map(len, texts))
    limit = _SECONDS + size / _CHARACTERS_A_SECOND
    begun = time.process_time()  # not the clock on the wall: the process may be stopped, or wait for others
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while not ended:
        thread.join(0.05)
        if not ended and time.process_time() - begun > limit:
            raise DataError(
                f"the tokenizer that was read has been at {len(texts)} texts of {size:,} characters for {limit:.0f} "
                "seconds of the processor. It searches with expressions of its own, and some search for ever: "
                f"{', '.join(map(repr, patterns[:3]))}. Use another tokenizer, or texts without such runs."
            )
    result, error = ended[0]
    if error is not None:
        raise error
    return result
