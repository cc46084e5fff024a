"""Streams for language models hold each word once; texts come padded, in batches of like length; both are shown."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from laminar.core import ConfigError, DataError, LMTensorText, TensorCategory, TensorText, plain
from laminar.core.rebuilding import from_recipe
from laminar.core.recipe import inference_recipe
from laminar.data import CategoryBlock, ColReader, ColSplitter, DataBlock, Datasets, TfmdLists
from laminar.text.blocks import TextBlock
from laminar.text.data import TextDataLoaders
from laminar.text.lm_loader import LMDataLoader
from laminar.text.numericalize import Numericalize
from laminar.text.padding import Pad_Chunk, Pad_Input, pad_chunk, pad_input, pad_input_chunk
from laminar.text.showing import TextTable
from laminar.text.streams import text_places
from laminar.text.tokenizer import Tokenizer

LENGTHS = st.lists(st.integers(0, 9), min_size=1, max_size=12)


def numbered(lengths: list[int]) -> list[torch.Tensor]:
    """Texts in which each word is there once: its number is its place among all."""
    ends = np.cumsum(lengths)
    return [torch.arange(end - length, end) for end, length in zip(ends, lengths, strict=True)]


def frame(n: int = 40) -> pd.DataFrame:
    words = ["cat", "dog", "owl"]
    texts = [f"The {words[i % 3]} number {i} came. " + "It went! " * (i % 5) for i in range(n)]
    return pd.DataFrame(
        {"text": texts, "kind": [words[i % 3] for i in range(n)], "is_valid": [i % 4 == 0 for i in range(n)]}
    )


@given(LENGTHS, st.integers(1, 5), st.integers(1, 7), st.booleans(), st.sampled_from([0.0, 0.9]))
@settings(max_examples=50, deadline=None)
def test_every_word_is_there_once_in_an_epoch_and_rows_go_on(lengths, bs, seq_len, shuffle, jitter):
    loader = LMDataLoader(numbered(lengths), bs, seq_len=seq_len, shuffle=shuffle, jitter=jitter, seed=3)
    order = loader._epoch_of(3, 0)[0].order
    stream = np.concatenate([numbered(lengths)[text].numpy() for text in order])
    batches = list(loader)
    assert len(batches) == len(loader)
    assert sum(len(x) for x, _ in batches) == loader.n_items
    inputs = [x.flatten() for x, _ in batches]
    targets = [y.flatten() for _, y in batches]
    assert sorted(torch.cat(inputs).tolist() if inputs else []) == sorted(stream[:-1].tolist())
    assert sorted(torch.cat(targets).tolist() if targets else []) == sorted(stream[1:].tolist())
    for row in range(bs):
        parts = [plain(x)[row] for x, _ in batches if len(x) > row]
        if parts:
            read = torch.cat(parts).numpy()
            start = int(np.flatnonzero(stream == read[0])[0])
            assert np.array_equal(read, stream[start : start + len(read)])


def test_epochs_differ_and_can_be_continued_anywhere():
    def loader():
        return LMDataLoader(numbered([5] * 30), 3, seq_len=4, shuffle=True, jitter=0.5, seed=1)

    one = loader()
    first, second = list(one), list(one)
    assert [x.tolist() for x, _ in first] != [x.tolist() for x, _ in second]
    other = loader()
    other.start_at(1, 5)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(other, second[5:], strict=True))
    stopped = loader()
    batches = iter(stopped)
    for _ in range(3):
        next(batches)
    third = loader()
    third.load_state_dict(stopped.state_dict())
    assert [x.tolist() for x, _ in third] == [x.tolist() for x, _ in first[3:]]
    assert one.replay(0, batch=2)[0].tolist() == first[2][0].tolist()


def test_pain_38_an_epoch_of_a_language_model_makes_no_items(monkeypatch):
    dls = TextDataLoaders.from_df(frame(), text_col="text", is_lm=True, bs=2, seq_len=8, device="cpu")
    monkeypatch.setattr(TfmdLists, "__getitem__", lambda self, index: pytest.fail("an item was made"))
    assert all(len(list(loader)) > 1 for loader in dls)


def test_jitter_moves_cuts_in_training_only():
    widths = {x.shape[1] for x, _ in LMDataLoader(numbered([400]), 2, seq_len=20, shuffle=True, jitter=0.5, seed=0)}
    assert len(widths) > 3
    assert max(widths) <= 30
    assert {x.shape[1] for x, _ in LMDataLoader(numbered([401]), 2, seq_len=20, jitter=0.5)} == {20}


def test_streams_are_the_same_from_a_store_a_file_and_a_list(tmp_path, monkeypatch):
    monkeypatch.setenv("LAMINAR_HOME", str(tmp_path))
    texts = frame().text.tolist()
    lists = [TfmdLists(texts, [Tokenizer(cache=cache), Numericalize(min_freq=1)]) for cache in (False, True)]
    streams = [LMDataLoader(source, 4, seq_len=6, shuffle=True, seed=2) for source in [*lists, list(lists[0])]]
    assert streams[0].places.table is not None
    assert streams[2].places.table is None
    assert isinstance(streams[1].places.numbers, np.memmap)
    for batches in zip(*streams, strict=True):
        assert batches[0][0].tolist() == batches[1][0].tolist() == batches[2][0].tolist()


def test_what_does_not_go_with_streams_is_refused():
    texts = numbered([5, 5])
    with pytest.raises(ConfigError, match="sampler chooses items"):
        LMDataLoader(texts, 2, sampler=[0])
    with pytest.raises(ConfigError, match="no batch at all: the 2 texts have 10 words, and bs=20"):
        LMDataLoader(texts, 20, drop_last=True)
    with pytest.raises(ConfigError, match="is for items"):
        LMDataLoader(texts, 2, after_item=lambda text: text)
    with pytest.raises(DataError, match=r"item 1 is .*, not the numbers of a text's words"):
        LMDataLoader([texts[0], "words"], 2)


def test_texts_are_lengthened_as_asked():
    samples = [(TensorText([5, 6, 7]), 0), (TensorText([8]), 1)]
    assert [x.tolist() for x, _ in pad_input(samples)] == [[5, 6, 7], [8, 1, 1]]
    assert [x.tolist() for x, _ in Pad_Input(pad_idx=9, pad_first=True)(samples)] == [[5, 6, 7], [9, 9, 8]]
    assert [x.tolist() for x, _ in Pad_Input(backwards=True)(samples)] == [[7, 6, 5], [8, 1, 1]]
    assert [x.tolist() for x, _ in Pad_Chunk(seq_len=2)(samples)] == [[5, 6, 7], [1, 1, 8]]
    assert [x.tolist() for x, _ in Pad_Chunk(seq_len=2, pad_first=False)(samples)] == [[5, 6, 7], [8, 1, 1]]
    assert [x.tolist() for x, _ in pad_input_chunk(samples, seq_len=1)] == [[5, 6, 7], [1, 1, 8]]
    assert all(type(x) is TensorText for x, _ in pad_input_chunk(samples))


@given(st.integers(1, 9), st.integers(0, 20), st.integers(1, 6))
def test_a_lengthened_text_begins_with_a_piece_and_is_whole(length, more, seq_len):
    text = torch.arange(10, 10 + length)
    padded = pad_chunk(text, seq_len=seq_len, pad_len=length + more)
    start = int((padded == 10).nonzero())
    assert start % seq_len == 0
    assert padded[padded != 1].tolist() == text.tolist()


def classifier(**options):
    return TextDataLoaders.from_df(
        frame(), text_col="text", label_col="kind", valid_col="is_valid", bs=8, device="cpu", **options
    )


def test_classifier_gets_padded_texts_of_like_length():
    dls = classifier(seq_len=5)
    x, y = dls.one_batch()
    assert (type(x), type(y)) == (TensorText, TensorCategory)
    words, classes = dls.vocab
    assert classes == ["cat", "dog", "owl"]
    assert dls.c == 3
    assert words[:2] == ["xxunk", "xxpad"]
    lengths = [(plain(x) != 1).sum(1) for x, _ in dls.valid]
    assert lengths[0].min() >= lengths[-1].max()
    assert sum(int((row != 1).sum()) for x, _ in dls.valid for row in plain(x)) == sum(
        len(dls.valid_ds[i][0]) for i in range(10)
    )


def test_data_block_reads_columns_as_fastais_users_write_it():
    df = frame().rename(columns={"text": "review"})
    df["head"] = "News"
    for cols, first in (("review", "xxbos xxmaj the"), (["head", "review"], "xxbos xxfld 1 xxmaj news xxfld 2")):
        block = DataBlock(
            (TextBlock.from_df(cols, min_freq=1), CategoryBlock),
            get_x=ColReader("text"), get_y=ColReader("kind"), splitter=ColSplitter(),
        )  # fmt: skip
        dls = block.dataloaders(df, bs=4, device="cpu")
        assert dls.decode_batch(dls.one_batch())[0][0].startswith(first)
        rows = dls.test_dl(df.iloc[:3])
        again = dls.decode_batch(rows.one_batch())
        assert str(again[0][0]) == str(dls.train_ds.decode(dls.train_ds[0])[0]) or str(again[0][0]).startswith(first)


def test_language_model_batches_say_what_they_are():
    dls = TextDataLoaders.from_df(
        frame(), text_col="text", is_lm=True, seq_len=7, bs=4, seed=1, device="cpu", min_freq=1
    )
    x, y = dls.one_batch()
    assert (type(x), type(y), tuple(x.shape)) == (LMTensorText, TensorText, (4, 7))
    assert torch.equal(plain(x)[:, 1:], plain(y)[:, :-1])
    assert dls.target_types == (TensorText,)
    assert len(dls.vocab) == dls.c
    block = DataBlock(TextBlock.from_df("text", is_lm=True), get_x=ColReader("text"), splitter=ColSplitter())
    assert block.dataloaders(frame(), bs=2, seq_len=11, device="cpu").one_batch()[0].shape == (2, 11)
    with pytest.raises(TypeError, match="seq_length"):
        block.dataloaders(frame(), bs=2, seq_length=11)
    with pytest.raises(TypeError, match="jitter"):
        classifier(jitter=0.5)


def test_backwards_is_the_same_read_from_the_end():
    def dls(**options):
        return TextDataLoaders.from_df(frame(), text_col="text", is_lm=True, seed=1, bs=1, device="cpu", **options)

    assert dls(backwards=True).train_ds[0][0].tolist() == dls().train_ds[0][0].tolist()[::-1]
    places = [text_places(dls(backwards=flag).train_ds) for flag in (True, False)]
    whole = [p.stream(np.array([3])).at(np.arange(p.lengths[3])).tolist() for p in places]
    assert whole[0] == whole[1][::-1]


def test_folders_of_files_become_loaders(tmp_path):
    df = frame()
    for i, row in df.iterrows():
        file = tmp_path / ("valid" if row.is_valid else "train") / row.kind / f"{i}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(row.text, encoding="utf-8")
    dls = TextDataLoaders.from_folder(tmp_path, bs=5, device="cpu", min_freq=1)
    assert (len(dls.train_ds), len(dls.valid_ds), dls.vocab[1]) == (30, 10, ["cat", "dog", "owl"])
    lm = TextDataLoaders.from_folder(
        tmp_path, is_lm=True, valid_pct=0.2, seed=0, bs=3, device="cpu", text_vocab=dls.vocab[0]
    )
    assert lm.vocab == dls.vocab[0]
    new = dls.test_dl(["The owl came.", df.text[3]])
    assert "xxbos xxmaj the owl came ." in [text for (text,) in dls.decode_batch(new.one_batch())]
    df.to_csv(tmp_path / "labels.csv", index=False)
    table = TextDataLoaders.from_csv(tmp_path, text_col="text", label_col="kind", device="cpu", bs=4)
    assert table.vocab[1] == ["cat", "dog", "owl"]


def test_batches_do_not_depend_on_worker_processes():
    here, there = ([x.tolist() for x, _ in classifier(seed=5, num_workers=n).train] for n in (0, 2))
    assert here == there


def test_texts_show_themselves_in_a_table(capsys):
    dls = classifier(seed=1)
    table = dls.show_batch(max_n=2, trunc_at=6)
    assert table.columns == ["text", "category"]
    assert len(table.rows) == 2
    assert "xxbos xxmaj the" in capsys.readouterr().out
    lm = TextDataLoaders.from_df(frame(), text_col="text", is_lm=True, bs=2, device="cpu")
    assert lm.show_batch(max_n=1).columns == ["text", "text_"]


def test_tables_hold_long_texts_and_say_what_html_is_not():
    table = TextTable(["text", "category"], [["xxbos <b>one</b> " + "word " * 60, "a"]])
    assert all(len(line) <= 100 for line in str(table).splitlines())
    assert "&lt;b&gt;one" in table._repr_html_()
    assert ">xxbos</span>" in table._repr_html_()


def test_tables_hand_no_orders_to_a_terminal():
    table = TextTable(["text", "category"], [["\x1b]0;owned\x07\x1b[2J\r one\ttwo\nthree", "\x9b31m"]])
    assert not {"\x1b", "\x07", "\r", "\x9b"} & set(str(table))
    assert "one" in str(table)


def test_one_text_without_words_among_many_is_an_error_not_a_row_of_padding():
    df = frame()
    df.loc[5, "text"] = "  "
    with pytest.raises(DataError, match="1 of 40 texts have no tokens"):
        TextDataLoaders.from_df(df, text_col="text", label_col="kind", rules=[])
    Datasets(df, [[ColReader("text"), Tokenizer(), Numericalize()]])


def test_loaders_of_texts_are_exported_as_data():
    dls = classifier(min_freq=1, seq_len=5)
    tensors: dict[str, torch.Tensor] = {}
    again = from_recipe(json.loads(json.dumps(inference_recipe(dls, tensors))), tensors)
    texts = ["The owl came.", "It went! The dog number 7 came. It went!"]
    expected, found = (loaders.test_dl(texts).eval_loader().one_batch() for loaders in (dls, again))
    assert torch.equal(expected[0], found[0])
    assert again.decode_batch(found)[0][0] == "xxbos xxmaj the owl came ."
