"""Many texts into tokens: portion by portion, in several processes if asked, the same whatever their number."""

from __future__ import annotations

import itertools
import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from laminar.core.errors import ConfigError, DataError, describe
from laminar.core.lazy import lazy_module
from laminar.text.by_word import Numbered, Numbering, numbered_by_word
from laminar.text.portions import portions
from laminar.text.rules import Rule, apply_rule, apply_rules, default_post_rules, default_rules, replace_space
from laminar.text.tokens import Lexicon, Numbers, TokenStore
from laminar.text.words import WordTokenizer

__all__ = ["SplitsTexts", "TokenizeWithRules", "read_text", "rule_by_rule", "store_tokens"]

fastprogress = lazy_module("fastprogress.fastprogress")

_PORTION = 1 << 21  # characters that are tokenized at once: each different word in them is cut once
_WORTH_PROCESSES = 1 << 24  # characters; below, starting processes takes longer than it saves


class SplitsTexts(Protocol):
    """What cuts texts into tokens: called with texts, it gives a list of tokens for each."""

    def __call__(self, texts: Iterable[str], /) -> Iterable[Sequence[str]]:
        """The tokens of each text."""


class TokenizeWithRules:
    """Applies rules to texts, cuts them into tokens, and applies rules to the tokens.

    Args:
        tok: cuts texts into tokens; None for a `WordTokenizer`.
        rules: what is done to each text before; None for `default_rules`.
        post_rules: what is done to each token afterwards; None for `default_post_rules`.

    >>> list(TokenizeWithRules()(["Hello, World!"]))
    [['xxbos', 'xxmaj', 'hello', ',', 'xxmaj', 'world', '!']]
    """

    def __init__(
        self,
        tok: SplitsTexts | None = None,
        rules: Sequence[Rule] | None = None,
        post_rules: Sequence[Rule] | None = None,
    ) -> None:
        self.tok: SplitsTexts = WordTokenizer() if tok is None else tok
        self.rules = default_rules if rules is None else tuple(rules)
        self.post_rules = default_post_rules if post_rules is None else tuple(post_rules)
        if not callable(self.tok):
            raise ConfigError(f"tok is called with texts and gives lists of tokens; {self.tok!r} cannot be called")

    def __call__(self, texts: Iterable[str]) -> Iterator[list[str]]:
        """The tokens of each text."""
        for tokens in self._cut(list(texts)):
            for rule in self.post_rules:
                tokens = apply_rule(tokens, rule)
            yield tokens

    def numbered(self, texts: Sequence[str]) -> Numbered:
        """The tokens of some texts as numbers of words in the order of their first appearance."""
        if isinstance(self.tok, WordTokenizer):
            found = numbered_by_word(texts, self.rules, self.tok)
        else:
            numbering, cut = Numbering(), self._cut(texts)
            numbers = numbering.all(list(itertools.chain.from_iterable(cut)))
            found = Numbered(list(numbering), numbers, np.array(list(map(len, cut)), dtype=np.int64))
        words = self._all_finished(found.words)
        if len(set(words)) == len(words):
            return found._replace(words=words)
        merged = Numbering()  # a rule has made two tokens one
        numbers = merged.all(words)[found.numbers]
        return Numbered(list(merged), numbers, found.lengths)

    def _all_finished(self, words: list[str]) -> list[str]:
        for rule in self.post_rules:
            if rule is not replace_space or " " in "".join(words):
                words = apply_rule(words, rule)
        return words

    def _cut(self, texts: Sequence[str]) -> list[list[str]]:
        """The tokens of each text, before the rules for tokens; a tokenizer of the user's may give anything."""
        ruled, cut = apply_rules(texts, self.rules), list[list[str]]()
        name = getattr(self.tok, "__qualname__", None) or repr(self.tok)
        try:
            for tokens in self.tok(ruled):
                cut.append([tokens] if isinstance(tokens, str) else list(tokens))
                if isinstance(tokens, str) or not all(isinstance(token, str) for token in cut[-1][:1]):
                    raise DataError(f"{name} gives {describe(tokens)} in place of a list of tokens, for a text")
        except Exception as error:
            error.add_note(f"in {name}: called with {len(ruled)} texts, it is to give a list of tokens for each")
            raise
        if len(cut) != len(texts):
            raise DataError(
                f"{name} gives {len(cut)} lists of tokens for {len(texts)} texts. It is to give one for each, also of "
                "empty ones."
            )
        return cut


def rule_by_rule(texts: Iterable[str], rules: Sequence[Rule]) -> Iterator[str]:
    """Texts after rules, a portion at a time."""
    waiting = iter(texts)
    while portion := list(itertools.islice(waiting, 1000)):
        yield from apply_rules(portion, rules)


def read_text(path: str | Path, encoding: str = "utf-8") -> str:
    """The text in a file.

    Args:
        path: the file.
        encoding: of the file.

    Raises:
        DataError: it is not text in this encoding; the message names file and place.
    """
    data = Path(path).read_bytes()
    try:
        return data.decode(encoding).removeprefix("\ufeff").replace("\r\n", "\n")  # some editors begin files so
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} is not {encoding} text: byte {error.start} (in line {line}) is {data[error.start]:#04x}. "
            "If all files are so, pass their encoding, such as encoding='latin-1'."
        ) from error


def store_tokens(
    texts: Sequence[str] | Sequence[Path],
    process: TokenizeWithRules,
    *,
    encoding: str = "utf-8",
    n_workers: int | None = None,
    show_progress: bool = False,
    file: Path | None = None,
) -> TokenStore:
    """Tokenize texts, or the texts in files, in portions that fit into memory.

    What comes out does not depend on the number of processes.

    Args:
        texts: texts, or paths of files.
        process: rules and tokenizer.
        encoding: of files.
        n_workers: processes; 0 for none, None for as many as there are cores where there is much to do.
        show_progress: show a progress bar.
        file: where the numbers are written; None keeps them in memory.

    Raises:
        DataError: a file is not text in this encoding, or a text is longer than the tokenizer can take.
    """
    read = _read(texts, encoding, getattr(process.tok, "longest", None))
    finished = _tokenized(portions(read, _PORTION), process, _workers_for(texts, n_workers))
    everything = Numbering()
    parts: list[Numbers] = []
    lengths: list[np.ndarray[Any, Any]] = []
    bar = fastprogress.progress_bar(range(len(texts)), leave=False) if show_progress and len(texts) else None
    done = 0
    output = None if file is None else file.open("wb")
    try:
        for portion in finished:
            table = everything.all(portion.words)
            numbers = table[portion.numbers] if len(table) else portion.numbers
            lengths.append(portion.lengths)
            if output is None:
                parts.append(numbers)
            else:
                output.write(numbers.tobytes())
            done += len(portion.lengths)
            if bar is not None:
                bar.update(done)
    finally:
        if output is not None:
            output.close()
    whole: Numbers | Path = file if file is not None else np.concatenate([np.empty(0, np.int32), *parts])
    return TokenStore(whole, np.concatenate([np.empty(0, np.int64), *lengths]), Lexicon(list(everything)))


def _read(texts: Iterable[str | Path], encoding: str, longest: int | None) -> Iterator[str]:
    """The texts, none longer than the tokenizer can take."""
    for number, text in enumerate(texts):
        read = text if isinstance(text, str) else read_text(text, encoding)
        if longest is not None and len(read) > longest:
            name = f"text {number}" if isinstance(text, str) else text
            raise DataError(
                f"{name} has {len(read):,} characters; this tokenizer takes {longest:,} of a text, since it needs some "
                f"150 bytes for each ({150 * len(read) / 2**30:.0f} GB here). Divide it into several texts, such as "
                "its paragraphs; or use WordTokenizer or SubwordTokenizer."
            )
        yield read


def _workers_for(texts: Sequence[str] | Sequence[Path], asked: int | None) -> int:
    if asked is not None:
        return asked
    size = 0
    for text in texts:
        size += len(text) if isinstance(text, str) else text.stat().st_size
        if size > _WORTH_PROCESSES:
            return min(16, os.cpu_count() or 1)
    return 0


def _tokenized(waiting: Iterator[list[str]], process: TokenizeWithRules, n_workers: int) -> Iterator[Numbered]:
    """The portions in order, made here or in processes, of which each has at most two waiting."""
    own_threads = getattr(process.tok, "own_threads", False)
    if n_workers < 2 or own_threads:
        yield from map(process.numbered, waiting)
        return
    kind = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    begun: deque[Future[Numbered]] = deque()
    with ProcessPoolExecutor(n_workers, mp_context=multiprocessing.get_context(kind)) as pool:
        for portion in waiting:
            begun.append(pool.submit(process.numbered, portion))
            if len(begun) > 2 * n_workers:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
