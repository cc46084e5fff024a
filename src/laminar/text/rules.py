"""What is done to a text before it is cut into tokens, and to tokens afterwards: rules, each a function of a text.

Rules keep in words of their own (``xxmaj``, ``xxrep``, ...) what they take out of a text, so that a vocabulary needs
"the" only once and nothing is lost: `decode_spec_tokens` puts it back.
"""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from laminar.core.errors import DataError, describe
from laminar.core.random import deterministic
from laminar.text.special_tokens import BOS, EOS, TK_MAJ, TK_REP, TK_UP, TK_WREP, UNK

__all__ = [
    "Rule",
    "apply_rule",
    "apply_rules",
    "decode_spec_tokens",
    "default_post_rules",
    "default_rules",
    "fix_html",
    "lowercase",
    "replace_all_caps",
    "replace_maj",
    "replace_rep",
    "replace_space",
    "replace_wrep",
    "rm_useless_spaces",
    "spec_add_spaces",
]

Rule = Callable[[str], str]

_BORDERS = (*range(0xE000, 0xF900), *range(0xF0000, 0xFFFFE))  # for private use: one stands between texts
_JUNK = (
    ("#39;", "'"), ("amp;", "&"), ("#146;", "'"), ("nbsp;", " "), ("#36;", "$"), ("\\n", "\n"), ("quot;", "'"),
    ("<br />", "\n"), ('\\"', '"'), ("<unk>", UNK), (" @.@ ", "."), (" @-@ ", "-"), ("...", " …"),
)  # fmt: skip
# A letter comes first and what may stand before it afterwards: so the search runs from one such letter to the next.
_ALL_CAPS = re.compile(r"[A-Z](?<!\S.)[^a-z\s]*(?!\S)")
_CAPITALISED = re.compile(r"[A-Z](?<!\S.)[^A-Z\s]*(?!\S)")
_MOST = 1000  # repetitions that are written out
# Nothing is tried twice (`++`), so that the search takes as long as the text is, whatever is in it.
_REPEATED = re.compile(r"(?:\A|\s)(\w++)\s++\1(?:\s++\1)+(?!\w)")


def local(rule: Rule) -> Rule:
    """Mark a rule that looks no further than the next white space or word, so that it may see many texts as one."""
    rule.local = True  # type: ignore[attr-defined]  # a mark, read with getattr
    return deterministic(rule)


def word_by_word(rule: Rule) -> Rule:
    """Mark a rule that does to each word (what stands between white space) the same, wherever it is.

    Only the words count that come out, not the white space between them.
    """
    rule.word_by_word = True  # type: ignore[attr-defined]  # a mark, read with getattr
    return local(rule)


@local
def fix_html(text: str) -> str:
    """Put characters in place of what is left of HTML and of other people's tokenizers.

    >>> fix_html("Bread #39;n#39; butter &lt;b&gt;...")
    "Bread 'n' butter <b> …"
    """
    for junk, meant in _JUNK:
        text = text.replace(junk, meant)
    return html.unescape(text) if "&" in text else text


@word_by_word
def replace_rep(text: str) -> str:
    """Write a character that is there three times or more in a row as ``xxrep``, how often, and the character.

    >>> replace_rep("Nooooo")
    'N xxrep 5 o '
    """
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    same = codes[1:] == codes[:-1]
    places = np.flatnonzero(same[1:] & same[:-1])  # where three characters in a row begin
    starts = places[np.diff(places, prepend=-2) > 1]
    ends = places[np.diff(places, append=len(codes) + 1) > 1] + 3
    parts, done = [], 0
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if not text[start].isspace():
            parts += [text[done:start], f" {TK_REP} {end - start} {text[start]} "]
            done = end
    return "".join([*parts, text[done:]])


@local
def replace_wrep(text: str) -> str:
    """Write a word that is there three times or more in a row as ``xxwrep``, how often, and the word.

    >>> replace_wrep("very very very good")
    ' xxwrep 3 very  good'
    """
    return _REPEATED.sub(_marked_repeated, text)


@word_by_word
def spec_add_spaces(text: str) -> str:
    r"""Put spaces around ``/``, ``#`` and ``\``.

    >>> spec_add_spaces("and/or")
    'and / or'
    """
    return text.replace("/", " / ").replace("#", " # ").replace("\\", " \\ ")


@word_by_word
def rm_useless_spaces(text: str) -> str:
    """Leave one space of several in a row.

    >>> rm_useless_spaces("so   much")
    'so much'
    """
    while "  " in text:
        text = text.replace("  ", " ")
    return text


@word_by_word
def replace_all_caps(text: str) -> str:
    """Write words in capitals in small letters after ``xxup``; single letters without it.

    >>> replace_all_caps("I like NASA")
    'i like xxup nasa'
    """
    return text if text.islower() else _ALL_CAPS.sub(_marked_up, text)


@word_by_word
def replace_maj(text: str) -> str:
    """Write words that begin with a capital in small letters after ``xxmaj``; single letters without it.

    >>> replace_maj("Jack and Jill")
    'xxmaj jack and xxmaj jill'
    """
    return text if text.islower() else _CAPITALISED.sub(_marked_maj, text)


def _marked_repeated(found: re.Match[str]) -> str:
    return f" {TK_WREP} {len(found[0].split())} {found[1]} "


def _marked_up(found: re.Match[str]) -> str:
    word = found[0].lower()
    return f"{TK_UP} {word}" if len(word) > 1 else word


def _marked_maj(found: re.Match[str]) -> str:
    word = found[0].lower()
    return f"{TK_MAJ} {word}" if len(word) > 1 else word


@deterministic
def lowercase(text: str, add_bos: bool = True, add_eos: bool = False) -> str:
    """Write a text in small letters, begun by ``xxbos``.

    Args:
        text: the text.
        add_bos: put ``xxbos`` before it.
        add_eos: put ``xxeos`` behind it.

    >>> lowercase("Hello ")
    'xxbos hello'
    """
    return f"{BOS} " * add_bos + text.lower().strip() + f" {EOS}" * add_eos


@deterministic
def replace_space(token: str) -> str:
    """Write spaces inside a token as ``▁``, so that tokens joined by spaces can be told apart again.

    >>> replace_space("New York")
    'New▁York'
    """
    return token.replace(" ", "▁")


default_rules: tuple[Rule, ...] = (
    fix_html, replace_rep, replace_wrep, spec_add_spaces, rm_useless_spaces, replace_all_caps, replace_maj, lowercase,
)  # fmt: skip
"""What is done to texts where nothing else is asked for."""

default_post_rules: tuple[Rule, ...] = (replace_space,)
"""What is done to tokens where nothing else is asked for."""


def apply_rules(texts: Sequence[str], rules: Iterable[Rule]) -> list[str]:
    """Apply rules to many texts, each rule as if it saw one text at a time.

    Rules that are marked as looking only at their neighbourhood see all texts as one, which takes a fraction of the
    time.

    Args:
        texts: the texts.
        rules: in the order in which they are applied.
    """
    done = list(texts)
    for is_local, group in itertools.groupby(rules, key=_is_local):
        if is_local and len(done) > 1:
            together, border = apply_rules_together(done, list(group))
            done = [_without_lines(part) for part in together.split(border)]
        else:
            for rule in group:
                done = apply_rule(done, rule)
    return done


def apply_rule(texts: Sequence[str], rule: Rule) -> list[str]:
    """Apply a rule to texts, or to tokens, one by one.

    Args:
        texts: the texts or tokens.
        rule: the rule.

    Raises:
        DataError: it gives something else than a text; the message names the rule and the text.
    """
    done: list[str] = []
    name = getattr(rule, "__qualname__", None) or repr(rule)
    try:
        done.extend(map(rule, texts))
    except Exception as error:
        error.add_note(f"in the rule {name}, on {describe(texts[len(done)])}")
        raise
    wrong = next((place for place, made in enumerate(done) if not isinstance(made, str)), None)
    if wrong is not None:
        raise DataError(
            f"the rule {name} makes {describe(done[wrong])} of {describe(texts[wrong])}, not a text. Does it lack a "
            "return?"
        )
    return done


def apply_rules_together(texts: Sequence[str], rules: Sequence[Rule]) -> tuple[str, str]:
    """Apply rules to many texts; give them as one, and the character that stands between them, in lines of its own.

    Args:
        texts: the texts.
        rules: in the order in which they are applied.

    Raises:
        DataError: no character is left that could stand between them.
    """
    if not all(map(_is_local, rules)):
        texts, rules = apply_rules(texts, rules), []
    together = "".join(texts)
    border = next((chr(code) for code in _BORDERS if chr(code) not in together), None)
    if border is None:
        raise DataError(f"these {len(texts)} texts hold every character for private use, so that none can divide them")
    together = f"\n{border}\n".join(texts)
    for rule in rules:
        together = rule(together)
    return together, border


def _is_local(rule: Rule) -> bool:
    return getattr(rule, "local", False)


def _without_lines(part: str) -> str:
    return part.removeprefix("\n").removesuffix("\n")


def decode_spec_tokens(tokens: Iterable[str]) -> list[str]:
    """Undo what rules wrote as marks: capitals and repetitions are put back, and the marks are gone.

    Args:
        tokens: as rules and a tokenizer made them.

    >>> decode_spec_tokens(["xxmaj", "no", "!", "xxrep", "3", "!", "xxup", "usa", "xxwrep", "2", "so"])
    ['No', '!', '!!!', 'USA', 'so', 'so']
    """
    waiting = iter(tokens)
    result: list[str] = []
    for token in waiting:
        result += _meant(token, waiting)
    return [token for token in result if token]


def _meant(token: str, waiting: Iterator[str]) -> list[str]:
    """The words that a token, with those it takes from `waiting`, stands for; a model may generate anything."""
    if token == TK_MAJ:
        return [word.capitalize() for word in _meant(next(waiting, ""), waiting)]
    if token == TK_UP:
        return [word.upper() for word in _meant(next(waiting, ""), waiting)]
    if token in (TK_REP, TK_WREP):
        count = next(waiting, "")
        words, times = _meant(next(waiting, ""), waiting), min(int(count), _MOST) if count.isdecimal() else 1
        return words * times if token == TK_WREP else [word * times for word in words]
    return [token]
