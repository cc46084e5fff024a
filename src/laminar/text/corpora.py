"""Tokenizing whole lists, tables and folders at one call, without a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from laminar.core.errors import DataError, require
from laminar.data.sources import get_files
from laminar.data.tables import check_columns, read_table
from laminar.text.columns import Columns, check_texts, column_texts, columns_of
from laminar.text.rules import Rule
from laminar.text.tokenizer import Tokenizer
from laminar.text.tokenizing import SplitsTexts, TokenizeWithRules, store_tokens
from laminar.text.tokens import TokenStore

__all__ = ["load_tokenized_csv", "tokenize_csv", "tokenize_df", "tokenize_files", "tokenize_folder", "tokenize_texts"]


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


def tokenize_csv(
    fname: str | Path,
    text_cols: Columns,
    outname: str | Path | None = None,
    n_workers: int | None = None,
    rules: Sequence[Rule] | None = None,
    mark_fields: bool | None = None,
    tok: SplitsTexts | None = None,
    header: Any = "infer",
    chunksize: int = 50_000,
    encoding: str = "utf-8",
) -> tuple[Path, Counter[str]]:
    """Write a table with tokens, joined by spaces, in place of texts; the table may be larger than memory.

    `load_tokenized_csv` reads it.

    Args:
        fname: the table.
        text_cols: the column or columns with the text.
        outname: the new table; None for ``name_tok.csv`` beside the old one.
        n_workers: see `Tokenizer`.
        rules: see `Tokenizer`.
        mark_fields: see `Tokenizer`.
        tok: see `Tokenizer`.
        header: as in `pandas.read_csv`.
        chunksize: rows that are read at once.
        encoding: of the table.

    Returns:
        The new table, and how often each token is there.

    Raises:
        DataError: there is no such column, or rows have no text; the message names them.
    """
    pandas = require("pandas", "text", "tokenize_csv")
    source = Path(fname)
    target = source.with_name(f"{source.stem}_tok.csv") if outname is None else Path(outname)
    count: Counter[str] = Counter()
    unfinished = target.with_name(f".{target.name}.unfinished")
    with pandas.read_csv(source, header=header, chunksize=chunksize, encoding=encoding) as chunks:
        for number, chunk in enumerate(chunks):
            made, found = tokenize_df(chunk, text_cols, n_workers, rules, mark_fields, tok)
            made["text"] = made["text"].str.join(" ")
            made.to_csv(unfinished, header=not number, index=False, mode="a" if number else "w")
            count.update(found)
    unfinished.replace(target)
    return target, count


def load_tokenized_csv(fname: str | Path) -> tuple[Any, Counter[str]]:
    """Read what `tokenize_csv` wrote: a data frame with lists of tokens, and how often each token is there.

    Args:
        fname: the table.
    """
    df = read_table(Path(fname))
    check_columns(df, {"the column of tokens": "text"})
    df["text"] = df["text"].str.split(" ")
    return df, Counter(token for tokens in df["text"] for token in tokens)


def tokenize_files(
    files: Iterable[str | Path],
    n_workers: int | None = None,
    rules: Sequence[Rule] | None = None,
    tok: SplitsTexts | None = None,
    encoding: str = "utf-8",
    show_progress: bool = False,
) -> tuple[list[Path], TokenStore]:
    """The tokens of the text in each file; these are kept in the cache folder, by what the files hold.

    Args:
        files: the files.
        n_workers: see `Tokenizer`.
        rules: see `Tokenizer`.
        tok: see `Tokenizer`.
        encoding: of the files.
        show_progress: show a progress bar.

    Raises:
        DataError: there are no files, or one is not text.
    """
    paths = [Path(file) for file in files]
    if not paths:
        raise DataError("tokenize_files was given no files")
    tokenizer = Tokenizer(tok, rules, encoding=encoding, n_workers=n_workers, cache=True, show_progress=show_progress)
    tokenizer.setup(paths)
    assert tokenizer.known is not None, "there are files"
    return paths, tokenizer.known.store


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
    return tokenize_files(files, n_workers, rules, tok, encoding, show_progress)
