"""`Tokenizer`: the transform from texts, files and rows to tokens."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack

import numpy as np

from laminar.core.errors import DataError, check_keywords, describe
from laminar.core.titled import TitledStr
from laminar.core.transform import Transform
from laminar.data.cache import cache_folder, made_once
from laminar.text.columns import Columns, JoinColumns, TextColumns, check_texts, column_read_by, plain_texts
from laminar.text.fingerprint import digest_of_texts, digests, fingerprint
from laminar.text.known import KnownTexts, keys_of
from laminar.text.rules import Rule
from laminar.text.tokenizing import SplitsTexts, TokenizeWithRules, read_text, rule_by_rule, store_tokens
from laminar.text.tokens import Lexicon, Tokens, TokenStore

__all__ = ["Tokenizer", "TokenizerOptions"]

_JOINED = "text"  # the column that stands for all columns with text
_WORTH_KEEPING = 1 << 23  # characters; below, tokenizing anew takes a second


class TokenizerOptions(TypedDict, total=False):
    """Keyword arguments of `Tokenizer.from_df` and its kin, as in `Tokenizer`."""

    post_rules: Sequence[Rule] | None
    mark_fields: bool | None
    encoding: str
    n_workers: int | None
    cache: bool | None
    show_progress: bool


class Tokenizer(Transform):
    """Makes tokens of a text, of the text in a file (a path), or of a row's columns.

    Before training, all texts of a data set are tokenized at once, and kept: in memory, or, if there are many, in a
    file in laminar's cache folder, named after what the texts hold, the rules and the tokenizer. Texts that come later
    are tokenized when they come.

    Args:
        tok: cuts texts into tokens; None for a `WordTokenizer`.
        rules: what is done to each text before; None for `default_rules`, or those that `tok` says are its own.
        post_rules: what is done to each token afterwards; None for `default_post_rules`.
        text_cols: of rows, the column or columns with the text.
        mark_fields: begin each column's text with ``xxfld`` and its number; None does so with several columns.
        encoding: of files.
        n_workers: processes that tokenize a data set; 0 for none, None for as many as there are cores where there are
            many texts. What comes out is the same.
        cache: keep the tokens of a data set in the cache folder; None does so where there are many.
        show_progress: show a progress bar while a data set is tokenized.

    >>> print(Tokenizer()("Hello, World!"))
    xxbos xxmaj hello , xxmaj world !
    """

    deterministic = True
    train_setup = False

    def __init__(
        self,
        tok: SplitsTexts | None = None,
        rules: Sequence[Rule] | None = None,
        post_rules: Sequence[Rule] | None = None,
        text_cols: Columns | None = None,
        mark_fields: bool | None = None,
        encoding: str = "utf-8",
        n_workers: int | None = None,
        cache: bool | None = None,
        show_progress: bool = False,
    ) -> None:
        super().__init__()
        self.rules = getattr(tok, "rules", None) if rules is None else rules
        self.process = TokenizeWithRules(tok, self.rules, post_rules)
        self.tok, self.post_rules = self.process.tok, post_rules
        self.text_cols, self.mark_fields, self.encoding = text_cols, mark_fields, encoding
        self.n_workers, self.cache, self.show_progress = n_workers, cache, show_progress
        self.known: KnownTexts | None = None

    @classmethod
    def from_df(
        cls,
        text_cols: Columns = "text",
        tok: SplitsTexts | None = None,
        rules: Sequence[Rule] | None = None,
        **options: Unpack[TokenizerOptions],
    ) -> Self:
        """For data frames.

        Args:
            text_cols: the column or columns with the text.
            tok: see `Tokenizer`.
            rules: see `Tokenizer`.
            **options: see `Tokenizer`.
        """
        check_keywords(options, ["text_cols", "tok", "rules", *TokenizerOptions.__annotations__], "Tokenizer.from_df")
        return cls(tok, rules, text_cols=text_cols, **options)

    @classmethod
    def from_folder(
        cls,
        path: str | Path = ".",
        tok: SplitsTexts | None = None,
        rules: Sequence[Rule] | None = None,
        **options: Unpack[TokenizerOptions],
    ) -> Self:
        """For files; which, the items of the data set say.

        Args:
            path: the folder that they are in.
            tok: see `Tokenizer`.
            rules: see `Tokenizer`.
            **options: see `Tokenizer`.
        """
        check_keywords(options, ["path", "tok", "rules", *TokenizerOptions.__annotations__], "Tokenizer.from_folder")
        if not Path(path).is_dir():
            raise DataError(f"there is no folder {path}")
        return cls(tok, rules, **options)

    def setups(self, items: object) -> None:
        """Tokenize all items; what cannot be tokenized says so now."""
        self._join_columns(items)
        texts = self.texts_of(items)
        if texts is None:
            return
        index = getattr(getattr(items, "items", None), "index", None)
        check_texts(texts, None if index is None or callable(index) else index)
        if hasattr(self.tok, "trained_on"):
            training = self.texts_of(getattr(items, "train", items))
            self._train(texts if training is None else training)
        keys = keys_of(texts)
        self.known = KnownTexts(self._stored(texts, keys), keys)
        empty = np.flatnonzero(self.known.store.lengths == 0)
        if len(empty):
            raise DataError(
                f"{len(empty)} of {len(texts)} texts have no tokens, the first is number {empty[0]}: "
                f"{describe(texts[empty[0]])}. Leave them out, or use rules that begin a text with a token (lowercase)."
            )

    def _join_columns(self, items: Any) -> None:
        """Give rows a column ``text``, where the step before reads one that the data frame lacks: it is to hold the
        text of our columns, as users of fastai write it (``[attrgetter("text"), Tokenizer.from_df("title")]``).
        """
        steps, frame = getattr(getattr(items, "tfms", None), "transforms", None), getattr(items, "items", None)
        if self.text_cols is None or not steps or column_read_by(steps[-1]) != _JOINED:
            return
        if _JOINED not in getattr(frame, "columns", [_JOINED]):
            steps.insert(0, JoinColumns(self.text_cols, _JOINED, self.mark_fields))

    def _train(self, texts: Sequence[Any]) -> None:
        """Let the tokenizer learn from texts; the one that was given stays as it is."""
        read = (text if isinstance(text, str) else read_text(text, self.encoding) for text in texts)
        learn: Any = self.tok
        self.tok = learn.trained_on(rule_by_rule(read, self.process.rules))
        self.process = TokenizeWithRules(self.tok, self.rules, self.post_rules)

    def texts_of(self, items: Any) -> Sequence[Any] | None:
        """The texts (or paths) that come to this transform from a list of items; None if they are tokens already."""
        tfms = getattr(items, "tfms", None)
        if tfms is None:
            texts: Sequence[Any] | None = items
        else:
            before = items.up_to(self) if self in tfms.transforms else items
            texts = plain_texts(before.items, before.tfms.transforms, self.text_cols)
            texts = list(before) if texts is None else texts
        if texts is None or not len(texts) or isinstance(texts[0], Tokens | list | tuple):
            return None
        if not isinstance(texts[0], str | Path) and self.text_cols is not None:
            return [self._columns(row) for row in texts]
        return texts

    def counter(self, items: Any) -> Counter[str] | None:
        """How often each token is in these items; None if they have not been tokenized."""
        rows = self.rows_of(items)
        return None if rows is None or self.known is None else self.known.store.counter(rows)

    def rows_of(self, items: Any) -> np.ndarray[Any, Any] | None:
        """Where the tokens of these items are in the store (``known.store``); None if some are not there."""
        if self.known is None:
            return None
        steps: list[Any] = getattr(getattr(items, "tfms", None), "transforms", [])
        before = steps[: steps.index(self)] if self in steps else list(steps)
        return self.known.rows_of(getattr(items, "items", items), before, lambda: self.texts_of(items))

    def _stored(self, texts: Sequence[Any], keys: list[bytes]) -> TokenStore:
        options: dict[str, Any] = {
            "encoding": self.encoding, "n_workers": self.n_workers, "show_progress": self.show_progress,
        }  # fmt: skip
        if not self._worth_keeping(texts):
            return store_tokens(texts, self.process, **options)
        how = fingerprint(self.tok, self.process.rules, self.process.post_rules)
        if how is None:
            warnings.warn(
                "these tokens are not kept in the cache folder: the tokenizer, or a rule, uses an object of which it "
                "cannot be known whether it will do the same next time. Let rules use functions, texts, numbers, lists "
                "and dictionaries; or pass cache=False.",
                stacklevel=2,
            )
            return store_tokens(texts, self.process, **options)
        if isinstance(texts[0], Path):
            keys = [digests([read_text(text, self.encoding)])[0] for text in texts]
        name = digest_of_texts([*keys, how.encode()])
        folder = made_once(
            cache_folder() / "tokens" / name,
            {"texts": len(texts), "how": how},
            lambda target: _write(target, store_tokens(texts, self.process, file=target / "numbers.bin", **options)),
        )
        words = json.loads((folder / "words.json").read_text(encoding="utf-8"))
        return TokenStore(folder / "numbers.bin", np.load(folder / "lengths.npy"), Lexicon(words))

    def _worth_keeping(self, texts: Sequence[Any]) -> bool:
        if self.cache is not None:
            return self.cache
        size = 0
        for text in texts:
            size += len(text) if isinstance(text, str) else text.stat().st_size
            if size > _WORTH_KEEPING:
                return True
        return False

    def _columns(self, row: Any) -> str:
        return TextColumns(self.text_cols if self.text_cols is not None else "text", self.mark_fields)(row)  # type: ignore[no-any-return]  # a text

    def encodes(self, x: str) -> Tokens:
        """The tokens of a text."""
        row = None if self.known is None else self.known.row(x)
        if row is not None and self.known is not None:
            return self.known.store[row]
        tokens = Tokens.of(next(iter(self.process([x]))))
        if not len(tokens):
            raise DataError(f"the text {describe(x)} has no tokens")
        return tokens

    def encodes(self, x: Path) -> Tokens:
        """The tokens of the text in a file."""
        row = None if self.known is None else self.known.row(x)
        if row is not None and self.known is not None:
            return self.known.store[row]
        return self.encodes(read_text(x, self.encoding))

    def encodes(self, x: object) -> object:
        """The tokens of the text in a row."""
        if isinstance(x, Tokens | list):
            return x
        if x is None or (isinstance(x, float) and x != x):
            raise DataError("there is no text here, but a missing value. Drop such rows: df.dropna(subset=[...])")
        if self.text_cols is None:
            raise DataError(
                f"{describe(x)} is no text, file or list of tokens. Say where it has a text: get_x=ColReader('text'), "
                "or Tokenizer.from_df('text')."
            )
        return self.encodes(self._columns(x))

    def decodes(self, x: Tokens) -> TitledStr:
        """The tokens as a text."""
        return self._text(x)

    def decodes(self, x: list) -> TitledStr:  # type: ignore[type-arg]  # overloads are chosen by class
        """The tokens as a text."""
        return self._text(x)

    def _text(self, tokens: Sequence[str]) -> TitledStr:
        decode = getattr(self.tok, "decode", None)
        return TitledStr(" ".join(tokens) if decode is None else decode(list(tokens)))


def _write(folder: Path, store: TokenStore) -> None:
    np.save(folder / "lengths.npy", store.lengths)
    (folder / "words.json").write_text(json.dumps(store.lexicon.words), encoding="utf-8")
