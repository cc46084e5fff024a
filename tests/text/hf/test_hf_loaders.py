"""`HFDataLoaders` and `HFTextBlock`: texts and pairs of texts for models of transformers."""

from __future__ import annotations

import datasets
import pandas as pd
import pytest
import torch
from tests.text.hf.tiny import rows

from laminar.core.errors import ConfigError, DataError
from laminar.data.block import DataBlock
from laminar.data.blocks import CategoryBlock
from laminar.data.labels import ColReader
from laminar.data.splitters import IndexSplitter, RandomSplitter
from laminar.text.hf import HFDataLoaders, HFTextBlock, TextFields, TokenizedText

HERE = {"seed": 0, "bs": 4, "device": "cpu"}


def padded_by_transformers(tokenizer, texts, **options):
    return tokenizer(texts, padding=True, return_tensors="pt", **options)


def test_a_batch_is_what_the_tokenizer_makes_of_its_texts(df, bert_tokenizer):
    dls = HFDataLoaders.from_df(df, bert_tokenizer, **HERE)
    dl = dls.valid.eval_loader()
    x, _ = dl.one_batch()
    assert isinstance(x, TokenizedText)
    texts = [dls.valid_ds.items.text.iloc[row] for row in range(4)]
    expected = padded_by_transformers(bert_tokenizer, texts)
    assert set(x) == set(expected)
    assert all(torch.equal(x[name], expected[name]) for name in expected)


def test_a_tokenizer_that_pads_before_a_text_is_obeyed(df, gpt_tokenizer):
    left = type(gpt_tokenizer)(
        tokenizer_object=gpt_tokenizer.backend_tokenizer, eos_token="<|endoftext|>", padding_side="left"
    )
    dls = HFDataLoaders.from_df(df, left, **HERE)
    x, _ = dls.valid.one_batch()
    assert x["attention_mask"][:, -1].all()
    assert not x["attention_mask"][:, 0].all()
    assert left.pad_token is None  # the user's own stays as it is


def test_texts_of_like_length_come_together(bert_tokenizer):
    df = rows(80)
    dls = HFDataLoaders.from_df(df, bert_tokenizer, **HERE)
    masks = [x["attention_mask"].float() for x, _ in dls.train]
    assert sum(mask.sum() for mask in masks) / sum(mask.numel() for mask in masks) > 0.9
    padded = HFDataLoaders.from_df(df, bert_tokenizer, pad_to_multiple_of=8, **HERE)
    assert all(x["input_ids"].shape[1] % 8 == 0 for x, _ in padded.train)


def test_pairs_are_told_apart_and_shown(bert_tokenizer, capsys):
    df = rows(12).assign(other="a goal was seen")
    dls = HFDataLoaders.from_df(df, bert_tokenizer, text_col=["text", "other"], **HERE)
    x, _ = dls.valid.eval_loader().one_batch()
    pairs = [list(dls.valid_ds.items.text), list(dls.valid_ds.items.other)]
    expected = padded_by_transformers(bert_tokenizer, *pairs[:1], text_pair=pairs[1])
    assert torch.equal(x["token_type_ids"], expected["token_type_ids"])
    dls.show_batch(max_n=1)
    shown = [word for word in capsys.readouterr().out.split() if word not in dls.vocab]  # rows go on below their class
    assert "a goal was seen" in " ".join(shown)
    new = dls.test_dl([("star", "goal")]).one_batch()[0]
    assert new["token_type_ids"].sum() > 0


def test_a_table_a_folder_and_a_data_set_give_the_same_batches(df, bert_tokenizer, tmp_path):
    df["valid"] = [number % 3 == 0 for number in range(len(df))]
    expected = HFDataLoaders.from_df(df, bert_tokenizer, valid_col="valid", **HERE)
    df.to_csv(tmp_path / "labels.csv", index=False)
    for number, row in df.iterrows():
        file = tmp_path / ("valid" if row.valid else "train") / row.label / f"{number:03}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(row.text)
    named = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["science", "sport"])}
    )
    parts = {
        name: datasets.Dataset.from_pandas(
            df[df.valid == valid][["text", "label"]], features=named, preserve_index=False
        )
        for name, valid in (("train", False), ("validation", True))
    }
    options = {key: value for key, value in HERE.items() if key != "seed"}
    for dls in (
        HFDataLoaders.from_csv(tmp_path, bert_tokenizer, valid_col="valid", **options),
        HFDataLoaders.from_folder(tmp_path, bert_tokenizer, **options),
        HFDataLoaders.from_dataset(datasets.DatasetDict(parts), bert_tokenizer, **options),
    ):
        assert list(dls.vocab) == ["science", "sport"]
        assert (dls.train.n, dls.valid.n) == (expected.train.n, expected.valid.n)
        lengths = sorted(x["attention_mask"].sum().item() for x, _ in dls.valid)
        assert lengths == sorted(x["attention_mask"].sum().item() for x, _ in expected.valid)


def test_a_data_set_is_divided_at_random_and_its_classes_have_names(bert_tokenizer):
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["b", "a"])})
    one = datasets.Dataset.from_dict({"text": ["star", "goal"] * 5, "label": [0, 1] * 5}, features=features)
    assert list(HFDataLoaders.from_dataset(one, bert_tokenizer, **HERE).vocab) == ["a", "b"]
    unlabelled = datasets.Dataset.from_dict({"text": ["star", "goal"], "label": [0, -1]}, features=features)
    with pytest.raises(DataError, match=r"1 of 2 rows have no label in 'label'; the first is row 1"):
        HFDataLoaders.from_dataset(unlabelled, bert_tokenizer)
    with pytest.raises(ConfigError, match="no split 'validation', only train, test"):
        HFDataLoaders.from_dataset({"train": one, "test": one}, bert_tokenizer)


def test_lists_of_labels_are_several_classes(bert_tokenizer):
    named = datasets.Sequence(datasets.ClassLabel(names=["joy", "fear", "none"]))
    features = datasets.Features({"text": datasets.Value("string"), "labels": named})
    rows = {"text": ["star", "goal", "cell", "coach"] * 3, "labels": [[0], [0, 1], [2], []] * 3}
    data = datasets.Dataset.from_dict(rows, features=features)
    dls = HFDataLoaders.from_dataset(data, bert_tokenizer, "text", "labels", **HERE)
    assert list(dls.vocab) == ["fear", "joy", "none"]
    targets = {tuple(sorted(dls.decode_batch(batch)[0][1])) for batch in dls.valid.new(bs=1)}
    assert targets <= {("joy",), ("fear", "joy"), ("none",), ()}
    of_df = HFDataLoaders.from_df(data.to_pandas(), bert_tokenizer, "text", "labels", **HERE)  # arrays of numbers
    assert list(of_df.vocab) == [0, 1, 2]


def test_a_data_block_takes_rows_of_any_kind(bert_tokenizer):
    items = [{"text": "star cell", "kind": "a"}, {"text": "goal", "kind": "b"}] * 4
    block = DataBlock(
        (HFTextBlock(bert_tokenizer), CategoryBlock),
        get_x=TextFields("text"),
        get_y=ColReader("kind"),
        splitter=RandomSplitter(0.25, seed=0),
    )
    dls = block.dataloaders(items, bs=2, device="cpu")
    assert dls.train.one_batch()[0]["input_ids"].shape[0] == 2
    assert dls.decode_batch(dls.valid.one_batch())[0][0] in ("star cell", "goal")


def test_bad_texts_are_named(df, bert_tokenizer, gpt_tokenizer):
    missing = df.assign(text=[None, *df.text[1:]])
    with pytest.raises(DataError, match=r"1 of 24 rows have no text \(row 0\)"):
        HFDataLoaders.from_df(missing, bert_tokenizer, **HERE)
    empty = df.assign(text=["", *df.text[1:]])
    HFDataLoaders.from_df(empty, bert_tokenizer, **HERE)  # [CLS] [SEP]
    with pytest.raises(DataError, match=r"1 of 24 texts have no tokens; .*row 0"):
        HFDataLoaders.from_df(empty, gpt_tokenizer, **HERE)
    with pytest.raises(DataError, match=r"text_col='texts' is no column.*Did you mean 'text'"):
        HFDataLoaders.from_df(df, bert_tokenizer, text_col="texts")
    with pytest.raises(TypeError, match="Did you mean 'max_length'"):
        HFDataLoaders.from_df(df, bert_tokenizer, max_len=3)


def test_labels_that_only_validation_has_are_told(bert_tokenizer):
    df = pd.DataFrame({"text": ["star", "cell", "goal"], "label": ["a", "a", "b"]})
    with pytest.raises(DataError, match=r"'?b'?"):
        HFDataLoaders.from_df(df, bert_tokenizer, splitter=IndexSplitter([2]), bs=1)


def test_a_tokenizer_without_a_token_to_pad_with_is_refused(df, gpt_tokenizer):
    bare = type(gpt_tokenizer)(tokenizer_object=gpt_tokenizer.backend_tokenizer)
    with pytest.raises(ConfigError, match=r"no token to pad texts with.*add_special_tokens"):
        HFDataLoaders.from_df(df, bare)
    with pytest.raises(ConfigError, match="no tokenizer of transformers"):
        HFDataLoaders.from_df(df, str.split)
    with pytest.raises(DataError, match="no tokenizer 'no/such/folder'"):
        HFDataLoaders.from_df(df, "no/such/folder")
