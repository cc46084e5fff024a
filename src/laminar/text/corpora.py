"""Tokenizing whole lists, tables and folders at one call, without a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from laminar.data.sources import get_files
from laminar.text.columns import Columns, check_texts, column_texts, columns_of
from laminar.text.rules import Rule
from laminar.text.tokenizer import Tokenizer
from laminar.text.tokenizing import SplitsTexts, TokenizeWithRules, store_tokens
from laminar.text.tokens import TokenStore

__all__ = ["tokenize_df", "tokenize_folder", "tokenize_texts"]


def tokenize_texts(
    texts: Sequence[str],
    n_workers: int | None = None,
    rules: Sequence[Rule] | None = None,
    tok: SplitsTexts | None = None,
) -> TokenStore:
    """The tokens of each text, as a sequence that also counts them (``.counter()``, ``.lengths``).

    Args:
        texts: the texts.
        n_workers: see `Tokenizer`.
        rules: see `Tokenizer`.
        tok: see `Tokenizer`.

    Raises:
        DataError: one of them is no text; the message names it.

    >>> list(tokenize_texts(["Hello!", "you"])[0])
    ['xxbos', 'xxmaj', 'hello', '!']
    """
    check_texts(texts, where="texts")
    return store_tokens(texts, TokenizeWithRules(tok, rules), n_workers=n_workers)


def tokenize_df(
    df: Any,
    text_cols: Columns,
    n_workers: int | None = None,
    rules: Sequence[Rule] | None = None,
    mark_fields: bool | None = None,
    tok: SplitsTexts | None = None,
    tok_text_col: str = "text",
) -> tuple[Any, Counter[str]]:
    """A data frame with tokens in place of texts, and how often each token is there.

    Args:
        df: a pandas data frame; it stays as it is.
        text_cols: the column or columns with the text.
        n_workers: see `Tokenizer`.
        rules: see `Tokenizer`.
        mark_fields: see `Tokenizer`.
        tok: see `Tokenizer`.
        tok_text_col: the column of the tokens; that of their number is called so with ``_length``.

    Raises:
        DataError: rows have no text; the message names them.
    """
    store = tokenize_texts(column_texts(df, text_cols, mark_fields), n_workers, rules, tok)
    names = [df.columns[column] if isinstance(column, int) else column for column in columns_of(text_cols)]
    made = df.drop(columns=names)
    made[tok_text_col] = [list(tokens) for tokens in store]
    made[f"{tok_text_col}_length"] = store.lengths
    return made, store.counter()


def tokenize_folder(
    path: str | Path,
    extensions: Iterable[str] = (".txt",),
    folders: Sequence[str] | None = None,
    n_workers: int | None = None,
    rules: Sequence[Rule] | None = None,
    tok: SplitsTexts | None = None,
    encoding: str = "utf-8",
    show_progress: bool = False,
) -> tuple[list[Path], TokenStore]:
    """The texts in a folder, and the tokens of each; these are kept in the cache folder, by what the files hold.

    Args:
        path: the folder.
        extensions: of the files.
        folders: look only into these of its folders; None for all.
        n_workers: see `Tokenizer`.
        rules: see `Tokenizer`.
        tok: see `Tokenizer`.
        encoding: of the files.
        show_progress: show a progress bar.

    Raises:
        DataError: there are no such files, or one is not text.
    """
    files = sorted(get_files(path, extensions=set(extensions), folders=folders))
    tokenizer = Tokenizer(tok, rules, encoding=encoding, n_workers=n_workers, cache=True, show_progress=show_progress)
    tokenizer.setup(files)
    assert tokenizer.known is not None, "there are files"
    return files, tokenizer.known.store
