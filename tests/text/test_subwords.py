"""Tokenizers of the package tokenizers: learned from the training texts or before, and decoded to whole texts."""

import pickle

import pandas as pd
import pytest

from laminar.core import ConfigError, DataError, MissingExtraError
from laminar.data import TfmdLists
from laminar.text.corpora import tokenize_df, tokenize_folder, tokenize_texts
from laminar.text.numericalize import Numericalize
from laminar.text.rules import lowercase
from laminar.text.subwords import PretrainedTokenizer, SubwordTokenizer
from laminar.text.tokenizer import Tokenizer

tokenizers = pytest.importorskip("tokenizers")
TEXTS = [f"The lower the low price of {n} newer things, the WIDER the widest." for n in range(30)]


def word_level() -> "tokenizers.Tokenizer":
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[PAD]": 0, "[UNK]": 1, "the": 2, "low": 3}, "[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    return made


@pytest.mark.parametrize("model", ["unigram", "bpe"])
def test_parts_are_learned_of_the_texts_and_decode_to_them(model):
    given = SubwordTokenizer(90, model)
    lists = TfmdLists(TEXTS, [Tokenizer(given), Numericalize()])
    vocab = lists.vocab
    assert (vocab[:2], len(vocab) <= 90) == (["xxunk", "xxpad"], True)
    assert not [part for part in vocab[9:] if "xx" in part]
    tokens = list(lists.tfms[0](TEXTS[3]))
    assert set(tokens) <= set(vocab)
    assert tokens[0] == "xxbos"
    assert lists.decode(lists[3]) == (
        "xxbos xxmaj the lower the low price of 3 newer things, the xxup wider the widest."
    )
    with pytest.raises(ConfigError, match="has learned no parts"):
        next(given(["text"]))  # the one that was given is as it was
    fitted = lists.tfms[0].tok
    assert list(pickle.loads(pickle.dumps(fitted))(["low price"])) == list(fitted(["low price"]))


def test_a_tokenizer_trained_before_keeps_its_words_and_numbers(tmp_path):
    word_level().save(str(tmp_path / "tokenizer.json"))
    for source in (word_level(), tmp_path, tmp_path / "tokenizer.json", word_level().to_str()):
        numbers = Numericalize()
        lists = TfmdLists(["the low THE"], [Tokenizer(PretrainedTokenizer(source)), numbers])
        assert lists[0].tolist() == [2, 3, 1]
        assert lists.vocab == ["[PAD]", "[UNK]", "the", "low"]
        assert (numbers.unk_idx, numbers.pad_idx) == (1, 0)
        assert list(lists.tfms[0](" low ")) == ["low"]


def test_a_tokenizer_of_transformers_is_one_too():
    transformers = pytest.importorskip("transformers")
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=word_level(), unk_token="[UNK]", pad_token="[PAD]")
    assert next(PretrainedTokenizer(fast)(["the low"])) == ["the", "low"]


def test_what_is_no_tokenizer_is_refused(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(DataError, match=r"a\.json holds no tokenizer"):
        PretrainedTokenizer(tmp_path / "a.json")
    with pytest.raises(DataError, match="there is no file"):
        PretrainedTokenizer(tmp_path / "b.json")
    with pytest.raises(ConfigError, match=r"pass Path"):
        PretrainedTokenizer("a.json")
    with pytest.raises(ConfigError, match="is no tokenizer of the package tokenizers"):
        PretrainedTokenizer(5)
    with pytest.raises(ConfigError, match="'unigram' or 'bpe', not 'words'"):
        SubwordTokenizer(model="words")


def test_error_names_the_extra_without_tokenizers(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match=r"laminar\[text\]"):
        SubwordTokenizer()


def test_lists_tables_and_folders_are_tokenized_at_one_call(tmp_path, monkeypatch):
    monkeypatch.setenv("LAMINAR_HOME", str(tmp_path / "home"))
    store = tokenize_texts(["One one", "two"], rules=[lowercase])
    assert [list(tokens) for tokens in store] == [["xxbos", "one", "one"], ["xxbos", "two"]]
    assert store.counter() == {"xxbos": 2, "one": 2, "two": 1}
    df = pd.DataFrame({"body": ["One one", "two"], "kind": [0, 1]})
    made, count = tokenize_df(df, "body", rules=[lowercase])
    assert made.text.tolist() == [["xxbos", "one", "one"], ["xxbos", "two"]]
    assert (made.text_length.tolist(), list(made.columns), count["one"]) == ([3, 2], ["kind", "text", "text_length"], 2)
    assert list(df.columns) == ["body", "kind"]
    for name, text in (("a", "One one"), ("b", "two")):
        (tmp_path / f"{name}.txt").write_text(text)
    files, found = tokenize_folder(tmp_path, rules=[lowercase])
    assert ([file.name for file in files], [len(tokens) for tokens in found]) == (["a.txt", "b.txt"], [3, 2])
    with pytest.raises(DataError, match=r"no file that ends in \.md"):
        tokenize_folder(tmp_path, extensions=[".md"])
