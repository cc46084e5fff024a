"""Enormous texts, tables of other encodings and damaged tokenizers are read in bounds, or told by their place."""

import json
import random
import re
import time
from collections import Counter

import pandas as pd
import pytest
import torch

from laminar.core.errors import ConfigError, DataError
from laminar.core.types import TensorText
from laminar.text import by_word, encoding, subwords
from laminar.text.all import TextDataLoaders
from laminar.text.by_word import numbered_by_word
from laminar.text.corpora import load_tokenized_csv, tokenize_csv, tokenize_df, tokenize_files
from laminar.text.padding import Pad_Chunk
from laminar.text.rules import default_rules, replace_wrep
from laminar.text.subwords import PretrainedTokenizer, SubwordTokenizer
from laminar.text.tokenizer import Tokenizer
from laminar.text.words import WordTokenizer

tokenizers = pytest.importorskip("tokenizers")

TEXTS = [f"The {animal} number {number} came home." for number in range(12) for animal in ("cat", "dog")]
OPTIONS = {"text_col": "text", "label_col": "label", "bs": 4, "device": "cpu", "num_workers": 0, "n_workers": 0}


def frame(texts: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"text": texts, "label": [f"{number % 2}" for number in range(len(texts))]})


def test_of_an_enormous_text_the_end_is_read_and_the_loader_says_so() -> None:
    df = frame([*TEXTS, "word so " * 30_000 + "end", *TEXTS])
    df["is_valid"] = [number % 5 == 0 and number != 24 for number in range(len(df))]
    with pytest.warns(UserWarning, match=r"1 of \d+ texts have more than 50,000 words .* has 60,002.*max_words"):
        dls = TextDataLoaders.from_df(df, valid_col="is_valid", **OPTIONS)
    x, _ = dls.train.one_batch()
    assert x.shape[1] == 50_000
    assert dls.vocab[0][int(x[0, -1])] in ("end", "xxunk")


def test_how_many_words_are_kept_is_chosen() -> None:
    rows = Pad_Chunk(seq_len=2, max_words=3)([(TensorText(torch.arange(2, 9)), 0)])
    assert rows[0][0].tolist() == [6, 7, 8]
    with pytest.raises(ConfigError, match="max_words must be at least 1"):
        Pad_Chunk(max_words=0)


def test_a_table_of_another_encoding_is_told_with_its_line(tmp_path) -> None:
    table = frame([*TEXTS, "schön"]).to_csv(index=False)
    (tmp_path / "labels.csv").write_bytes(table.encode("latin-1"))
    with pytest.raises(DataError, match=r"labels.csv is not utf-8 text: line 26 has the byte 0xf6 behind b'sch'"):
        TextDataLoaders.from_csv(tmp_path, **OPTIONS)
    dls = TextDataLoaders.from_csv(tmp_path, encoding="latin-1", **OPTIONS)
    assert len(dls.train_ds) + len(dls.valid_ds) == 25


def test_cells_may_hold_quotes_commas_and_lines(tmp_path) -> None:
    odd = ['said "well, yes"', "two\nlines", "a, b; c", "it's 'so'"]
    frame(odd * 6).to_csv(tmp_path / "labels.csv", index=False)
    dls = TextDataLoaders.from_csv(tmp_path, min_freq=1, seed=0, **OPTIONS)
    assert {'"', ",", "lines"} <= set(dls.vocab[0])


def test_folders_of_other_names_are_told(tmp_path) -> None:
    (tmp_path / "training" / "a").mkdir(parents=True)
    with pytest.raises(DataError, match=r"has no folder 'train'.*it has: training"):
        TextDataLoaders.from_folder(tmp_path)


def test_a_table_is_tokenized_in_pieces_as_at_once(tmp_path) -> None:
    frame(TEXTS).to_csv(tmp_path / "all.csv", index=False)
    target, count = tokenize_csv(tmp_path / "all.csv", "text", chunksize=5)
    whole, found = tokenize_df(frame(TEXTS), "text")
    read, again = load_tokenized_csv(target)
    assert read["text"].tolist() == whole["text"].tolist()
    assert dict(count) == dict(found) == dict(again)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["all.csv", "all_tok.csv"]


def test_rows_without_text_are_named_in_every_piece_of_a_table(tmp_path) -> None:
    (tmp_path / "all.csv").write_text("text,label\n" + "good,1\n" * 7 + ",1\n")
    with pytest.raises(DataError, match=r"1 of 2 rows have no text \(row 7\)"):
        tokenize_csv(tmp_path / "all.csv", "text", chunksize=3)


def test_files_are_tokenized(tmp_path) -> None:
    for name in ("b.md", "a.txt"):
        (tmp_path / name).write_text(f"Text {name[0]}")
    files, found = tokenize_files([tmp_path / "b.md", tmp_path / "a.txt"])
    assert [file.name for file in files] == ["b.md", "a.txt"]
    assert [tokens[-1] for tokens in found] == ["b", "a"]
    with pytest.raises(DataError, match="no files"):
        tokenize_files([])


@pytest.fixture(scope="module")
def trained() -> str:
    learned = SubwordTokenizer(60, "bpe").trained_on(TEXTS).learned
    assert learned is not None
    return learned


def test_damaged_tokenizers_are_read_or_told_by_their_file(trained, tmp_path) -> None:
    draw, file, ends = random.Random(0), tmp_path / "tokenizer.json", Counter()
    content = trained.encode()
    for _ in range(150):
        changed = bytearray(content)
        for _ in range(draw.randint(1, 3)):
            place = draw.randrange(len(changed))
            changed[place : place + draw.choice([0, 1, 1, 40])] = draw.choice(
                [b"", b"\xff", b"0", b"}", b'"', b"-1", b"1e9"]
            )
        file.write_bytes(changed)
        try:
            tokenizer = PretrainedTokenizer(file)
            (tokens,) = tokenizer(["The cat came home."])
            tokenizer.decode(list(tokens))
            ends["read"] += 1
        except DataError as error:
            ends["told" if re.search("tokenizer.json|tokenizer that was read", str(error)) else str(error)] += 1
    assert set(ends) == {"read", "told"}


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b"{}", b"[" * 100_000, b"\x80\x04]\x94.", b'{"model": {"vocab": {"a": 99999999999}}}'],
)  # fmt: skip
def test_what_is_no_tokenizer_is_told(content, tmp_path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(DataError, match=r"tokenizer\.json holds no tokenizer"):
        PretrainedTokenizer(tmp_path)


def test_words_with_numbers_beyond_all_memory_are_refused(trained, tmp_path) -> None:
    told = json.loads(trained)
    told["model"]["vocab"]["enormous"] = 2**32 - 2
    (tmp_path / "tokenizer.json").write_text(json.dumps(told))
    with pytest.raises(DataError, match=r"tokenizer\.json.*4294967294"):
        PretrainedTokenizer(tmp_path)


def searching(pattern: str) -> PretrainedTokenizer:
    trained = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    trained.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    return PretrainedTokenizer(trained.to_str())


def test_pain_68_expressions_of_a_file_that_search_for_ever_are_stopped(monkeypatch) -> None:
    assert list(searching("a|b")(["ab"])) == [["a", "[UNK]"]]
    with pytest.raises(DataError, match=r"tokenizer that was read does not work.*retry-limit"):
        list(searching("(a+)+$")(["a" * 40 + "b"]))
    monkeypatch.setattr(encoding, "_SECONDS", 0.1)
    with pytest.raises(DataError, match=r"1 texts of 6,002 characters for 0 seconds.*for ever: 'a\*a\*a\*b'"):
        list(searching("a*a*a*b")([" ".join(["a" * 299] * 20) + " bb"]))  # each search is short, all of them are not


def test_pain_68_thousands_of_repeated_words_are_found_in_the_time_of_one() -> None:
    words = [f"word{number}" for number in range(20_000)]
    text = " ".join(f"{word} {word} {word}" for word in words)
    begun = time.process_time()
    marked = replace_wrep(text)
    assert time.process_time() - begun < 5  # a search for each word at each place took minutes
    assert marked.split() == [part for word in words for part in ("xxwrep", "3", word)]


@pytest.mark.parametrize("model", ["unigram", "bpe"])
def test_a_long_text_is_cut_in_parts_as_at_once(model, monkeypatch) -> None:
    tokenizer = SubwordTokenizer(60, model).trained_on(TEXTS)
    text = "xxbos " + " \n ".join(TEXTS) + " xxeos"
    (whole,) = tokenizer([text])
    monkeypatch.setattr(subwords, "_CHARACTERS_AT_ONCE", 50)
    assert list(tokenizer([text, "The cat", "", text])) == [whole, *tokenizer(["The cat", ""]), whole]


def test_words_of_a_long_text_are_numbered_in_parts_as_at_once(monkeypatch) -> None:
    texts = [" ".join(TEXTS * 5), "", "One more text."]
    whole = numbered_by_word(texts, default_rules, WordTokenizer())
    monkeypatch.setattr(by_word, "_CHARACTERS_AT_ONCE", 40)
    monkeypatch.setattr(by_word, "_WORDS_AT_ONCE", 7)
    parts = numbered_by_word(texts, default_rules, WordTokenizer())
    assert parts.words == whole.words
    assert parts.numbers.tolist() == whole.numbers.tolist()
    assert parts.lengths.tolist() == whole.lengths.tolist() == [len(whole.numbers) - 7, 1, 6]


def test_a_text_that_a_tokenizer_cannot_hold_is_named(trained, monkeypatch, tmp_path) -> None:
    tokenizer = PretrainedTokenizer(trained)
    monkeypatch.setattr(PretrainedTokenizer, "longest", 100)
    with pytest.raises(DataError, match=r"text 1 has 120 characters; this tokenizer takes 100.*Divide it"):
        Tokenizer(tokenizer).setup(["The cat", "so " * 40])
    (tmp_path / "long.txt").write_text("so " * 40)
    with pytest.raises(DataError, match=r"long\.txt has 120 characters"):
        Tokenizer(tokenizer).setup([tmp_path / "long.txt"])
