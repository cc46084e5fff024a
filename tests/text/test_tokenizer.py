"""Tokens of whole data sets: the same however they are made, kept by content, and what is wrong names its row."""

import html
import sys
from collections import Counter
from operator import itemgetter

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from laminar.core import DataError
from laminar.data import ColReader, ColSplitter, Datasets, Getter, TfmdLists, get_text_files
from laminar.text import known
from laminar.text.columns import TextColumns
from laminar.text.data import TextDataLoaders
from laminar.text.fingerprint import digests, fingerprint
from laminar.text.numericalize import Numericalize, make_vocab
from laminar.text.rules import fix_html, lowercase, replace_all_caps, replace_maj
from laminar.text.tokenizer import Tokenizer
from laminar.text.tokenizing import TokenizeWithRules, store_tokens
from laminar.text.words import BaseTokenizer

TEXTS = [f"The {word} number {n} came, and THE {word} went." for n, word in enumerate(["cat", "dog", "Owl"] * 5)]


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LAMINAR_HOME", str(tmp_path / "home"))


def frame():
    return pd.DataFrame({"text": TEXTS, "title": [f"T{n}" for n in range(15)], "is_valid": [n > 9 for n in range(15)]})


def test_tokens_do_not_depend_on_the_number_of_processes(monkeypatch):
    monkeypatch.setattr("laminar.text.tokenizing._PORTION", 100)
    here, there = (store_tokens(TEXTS, TokenizeWithRules(), n_workers=n) for n in (0, 2))
    assert here.lexicon.words == there.lexicon.words
    assert np.array_equal(here.numbers, there.numbers)
    assert [list(tokens) for tokens in here] == list(TokenizeWithRules()(TEXTS))


@given(st.lists(st.text(st.sampled_from("aAbBßΣ  \n.!'U/x3"), max_size=25), max_size=5), st.booleans())
@settings(max_examples=60)
def test_whole_data_sets_get_the_tokens_that_single_texts_get(texts, usual):
    process = TokenizeWithRules(rules=None if usual else [replace_maj, fix_html, replace_all_caps])
    assert [list(tokens) for tokens in store_tokens(texts, process)] == [next(process([text])) for text in texts]


def test_post_rules_may_make_one_token_of_two():
    process = TokenizeWithRules(BaseTokenizer(), rules=[], post_rules=[str.lower])
    store = store_tokens(["A a", "b A"], process)
    assert [list(tokens) for tokens in store] == [["a", "a"], ["b", "a"]]
    assert store.lexicon.words == ["a", "b"]


def test_vocabulary_is_ordered_by_frequency_after_the_special_tokens():
    vocab = make_vocab({"rare": 1, "often": 9, "some": 4, "also": 4, "xxbos": 15}, min_freq=2)
    assert vocab[:12] == [
        "xxunk", "xxpad", "xxbos", "xxeos", "xxfld", "xxrep", "xxwrep", "xxup", "xxmaj", "often", "some", "also",
    ]  # fmt: skip
    assert len(vocab) == 16
    assert set(vocab[12:]) == {"xxfake"}
    assert len(make_vocab({str(n): 5 for n in range(90)}, max_vocab=40)) == 40


def test_vocabulary_is_of_the_training_texts_alone():
    df = frame()
    df.loc[12, "text"] = "validation only"
    dsets = Datasets(
        df, [[ColReader("text"), Tokenizer.from_df("text"), Numericalize(min_freq=1)]], splits=ColSplitter()(df)
    )
    assert "validation" not in dsets.vocab
    assert dsets.valid[2][0].tolist()[1:] == [0, 0]
    assert dsets.decode(dsets[0])[0] == "xxbos xxmaj the cat number 0 came , and xxup the cat went ."


def test_ids_are_the_same_kept_in_a_file_or_in_memory(tmp_path):
    def ids(**options):
        lists = TfmdLists(TEXTS, [Tokenizer(**options), Numericalize(min_freq=1)])
        return [x.tolist() for x in lists]

    assert ids(cache=True) == ids(cache=True) == ids(cache=False)
    assert len(list((tmp_path / "home" / "tokens").iterdir())) == 1


def test_another_rule_or_another_text_is_another_cache(tmp_path):
    for texts, rules in ((TEXTS, None), (TEXTS[1:], None), (TEXTS, [lowercase]), (TEXTS, [lambda t: t + " x"])):
        TfmdLists(texts, [Tokenizer(rules=rules, cache=True), Numericalize(min_freq=1)])
    assert len(list((tmp_path / "home" / "tokens").iterdir())) == 4


ENDING = {"last": " x"}


def with_ending(text):
    return text + ENDING["last"]


def by_another_function(text):
    return " ".join(with_ending(part) for part in [text])


def test_pain_68_a_rule_is_another_one_when_what_it_uses_is(monkeypatch):
    found = [fingerprint([by_another_function])]
    monkeypatch.setitem(ENDING, "last", " y")
    found.append(fingerprint([by_another_function]))
    monkeypatch.setattr(sys.modules[__name__], "with_ending", str.strip)
    found.append(fingerprint([by_another_function]))
    assert None not in found
    assert len(set(found)) == 3
    assert fingerprint([lambda text: html.unescape(np.char.strip(text))]) is not None


def test_methods_of_python_are_rules():
    assert str(TfmdLists(["One", "TWO"], [Tokenizer(rules=[str.lower, str.title])])[1]) == "Two"


def test_tokens_that_cannot_be_told_apart_are_not_kept_and_it_is_said(tmp_path):
    table = object()
    with pytest.warns(UserWarning, match="not kept in the cache folder"):
        TfmdLists(TEXTS, [Tokenizer(rules=[lambda text: f"{table and text}"], cache=True)])
    assert not (tmp_path / "home" / "tokens").exists()


def test_files_are_read_and_new_texts_are_taken_as_texts(tmp_path):
    for n, text in enumerate(TEXTS):
        (tmp_path / f"{n:02}.txt").write_text(text, encoding="utf-8")
    files = sorted(get_text_files(tmp_path))
    for cache in (True, False):
        lists = TfmdLists(files, [Tokenizer.from_folder(tmp_path, cache=cache), Numericalize(min_freq=1)])
        assert lists.decode(lists[3]) == "xxbos xxmaj the cat number 3 came , and xxup the cat went ."
        assert lists.infer(TEXTS[3]).tolist() == lists[3].tolist() == lists.infer(files[3]).tolist()


def test_columns_are_joined_and_marked():
    df = frame()
    step = Getter(TextColumns(["title", "text"]))
    lists = TfmdLists(df, [step, Tokenizer(), Numericalize(min_freq=1)])
    assert lists.decode(lists[1]).startswith("xxbos xxfld 1 xxup t1 xxfld 2 xxmaj the dog number")
    direct = TfmdLists(df, [Tokenizer.from_df(["title", "text"]), Numericalize(min_freq=1)])
    assert direct[1].tolist() == lists[1].tolist()


def test_rows_without_text_are_named():
    df = frame()
    df.loc[[3, 7], "text"] = None
    with pytest.raises(DataError, match=r"2 of 15 rows have no text \(row 3, 7\).*dropna"):
        TfmdLists(df, [ColReader("text"), Tokenizer()])
    df["text"] = [1.5] * 15
    with pytest.raises(DataError, match=r"something else than text \(row 0, 1"):
        TfmdLists(df, [ColReader("text"), Tokenizer()])


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(DataError, match=r"no column 'txet' of texts\. Did you mean 'text'"):
        TfmdLists(frame(), [Tokenizer.from_df("txet")])


def test_wrong_encoding_names_file_and_line(tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes("gut\nschön".encode("latin-1"))
    with pytest.raises(DataError, match=r"a.txt is not utf-8 text: byte 7 \(in line 2\) is 0xf6.*encoding='latin-1'"):
        TfmdLists([file], [Tokenizer()])
    assert list(TfmdLists([file], [Tokenizer(encoding="latin-1")])[0])[-1] == "schön"


def test_a_mark_at_the_beginning_of_a_file_is_no_word(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffHello".encode())
    assert list(Tokenizer()(tmp_path / "a.txt")) == ["xxbos", "xxmaj", "hello"]


def test_empty_texts_are_a_token_or_an_error():
    assert list(Tokenizer()("")) == ["xxbos"]
    with pytest.raises(DataError, match="1 of 2 texts have no tokens, the first is number 1"):
        TfmdLists(["a", " "], [Tokenizer(rules=[])])


def test_one_enormous_text_among_small_ones():
    texts = ["short", "long word " * 100_000, "short again"]
    lists = TfmdLists(texts, [Tokenizer(), Numericalize(min_freq=1)])
    assert [len(x) for x in lists] == [2, 200_001, 3]


def test_unknown_words_need_a_word_for_them():
    numbers = Numericalize(vocab=["a", "b"])
    assert torch.equal(numbers(["b", "a"]), torch.tensor([1, 0]))
    with pytest.raises(DataError, match="'c' is not in the vocabulary"):
        numbers(["c"])


def test_vocabulary_does_not_grow_with_unknown_words():
    numbers = Numericalize(vocab=["xxunk", "a"])
    numbers(["new", "a"])
    assert numbers.vocab == ["xxunk", "a"]
    assert len(numbers.o2i) == 2


def test_texts_are_looked_up_once_for_each_list_of_items(monkeypatch):
    looked_up = Counter()

    def counted(texts):
        looked_up.update(kept := list(texts))
        return digests(kept)

    monkeypatch.setattr(known, "digests", counted)
    df = pd.DataFrame({"text": [f"text {number}" for number in range(40)], "label": ["a", "b"] * 20})
    options = {"text_col": "text", "label_col": "label", "bs": 4, "device": "cpu", "num_workers": 0}
    dls = TextDataLoaders.from_df(df, is_lm=True, **options)
    assert [len(list(loader)) > 0 for loader in dls] == [True, True]
    assert set(looked_up.values()) == {2}  # all before training; then those of training, and those of validation


def test_two_inputs_by_one_tokenizer_are_not_taken_for_each_other():
    rows = [[f"one {number}", f"another text {number} here"] for number in range(8)]
    tokenizer = Tokenizer(n_workers=0)
    first = TfmdLists(rows, [itemgetter(0), tokenizer])
    second = TfmdLists(rows, [itemgetter(1), tokenizer], do_setup=False)
    tokenizer.setup([text for row in rows for text in row])
    lengths = [tokenizer.known.store.lengths[tokenizer.rows_of(texts)].tolist() for texts in (first, second, first)]
    assert lengths == [[3] * 8, [5] * 8, [3] * 8]
