"""One call to loaders for models that write, answer and go on; and what is said of texts that are cut."""

from __future__ import annotations

import warnings

import datasets
import pandas as pd
import pytest
from tests.text.hf.tiny import rows

from laminar.core.errors import DataError
from laminar.core.types import plain
from laminar.text.hf import (
    HFCausalLearner,
    HFDataLoaders,
    HFLanguageDataLoaders,
    HFMaskedLearner,
    HFQuestionDataLoaders,
    HFTextBlock,
    HFTokenize,
    HFWritingDataLoaders,
    HFWrittenBlock,
    QuestionAnswering,
    SequenceToSequence,
    TokenizedText,
)
from laminar.text.hf.tasks import task_for

HERE = {"seed": 0, "bs": 4, "device": "cpu"}


def titled(n: int = 20) -> pd.DataFrame:
    df = rows(n)
    return df.assign(summary=[" ".join(text.split()[1:3]) for text in df.text])


def asked(n: int = 20) -> pd.DataFrame:
    df = rows(n).rename(columns={"text": "context"})
    answers = [{"text": [text.split()[1]], "answer_start": [4]} for text in df.context]
    return df.assign(question="What was seen?", answers=answers)


def same_batches(one, other) -> bool:
    pairs = zip(one.valid.eval_loader(), other.valid.eval_loader(), strict=True)
    return all(
        (plain(x["input_ids"]) == plain(again["input_ids"])).all() and (plain(y) == plain(other_y)).all()
        for (x, y), (again, other_y) in pairs
    )


def test_texts_and_what_is_to_be_written_come_of_a_table_a_file_and_a_data_set(bert_tokenizer, tmp_path):
    df = titled()
    dls = HFWritingDataLoaders.from_df(df, bert_tokenizer, prefix="goal ", max_target_length=8, **HERE)
    assert isinstance(task_for(dls), SequenceToSequence)
    x, y = dls.valid.one_batch()
    goal = bert_tokenizer.convert_tokens_to_ids("goal")
    assert (plain(x["input_ids"])[:, 1] == goal).all()
    assert (plain(x["labels"]) == plain(y)).all()
    df.to_csv(tmp_path / "labels.csv", index=False)
    options = {"prefix": "goal ", "max_target_length": 8, **HERE}
    assert same_batches(dls, HFWritingDataLoaders.from_csv(tmp_path, bert_tokenizer, **options))
    data = datasets.Dataset.from_pandas(df.rename(columns={"summary": "title"}))
    again = HFWritingDataLoaders.from_dataset(data, bert_tokenizer, target_col="title", **options)
    assert same_batches(dls, again)
    block = HFWrittenBlock(bert_tokenizer, max_length=8)
    other = HFDataLoaders.from_df(df, bert_tokenizer, label_col="summary", y_block=block, **HERE)
    assert isinstance(task_for(other), SequenceToSequence)


def test_questions_come_of_a_table_and_of_a_data_set_with_answers_as_in_squad(bert_tokenizer):
    df = asked()
    options = {"max_length": 24, "stride": 4, **HERE}
    dls = HFQuestionDataLoaders.from_df(df, bert_tokenizer, **options)
    assert isinstance(task_for(dls), QuestionAnswering)
    parts = {name: datasets.Dataset.from_list(df.iloc[part].to_dict("records")) for name, part in
             {"train": slice(4, None), "validation": slice(4)}.items()}  # fmt: skip
    again = HFQuestionDataLoaders.from_dataset(datasets.DatasetDict(parts), bert_tokenizer, **options)
    assert [one.answers for one in again.valid.windows.questions] == [tuple(one["text"]) for one in df.answers[:4]]
    columns = df.assign(answer=[one["text"][0] for one in df.answers], start=4)
    named = HFQuestionDataLoaders.from_df(columns, bert_tokenizer, answer_col="answer", start_col="start", **options)
    assert same_batches(dls, named)
    with pytest.raises(DataError, match=r"context_col='text' is no column"):
        HFQuestionDataLoaders.from_df(df, bert_tokenizer, context_col="text")


def test_blocks_for_language_models_come_of_tables_and_folders(bert_tokenizer, tmp_path):
    df = rows(20)
    dls = HFLanguageDataLoaders.from_df(df, bert_tokenizer, block_size=16, **HERE)
    assert task_for(dls).learner is HFCausalLearner
    masked = HFLanguageDataLoaders.from_df(df, bert_tokenizer, block_size=16, masked=True, **HERE)
    assert task_for(masked).learner is HFMaskedLearner
    for number, text in enumerate(df.text):
        file = tmp_path / ("valid" if number % 4 == 0 else "train/deep") / f"{number:02}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    folders = HFLanguageDataLoaders.from_folder(tmp_path, bert_tokenizer, block_size=16, bs=4, device="cpu")
    stream = folders.valid.packed.stream
    assert bert_tokenizer.decode(stream, skip_special_tokens=True).count("seen") == 5
    assert len(stream) + len(folders.train.packed.stream) == sum(map(len, bert_tokenizer(list(df.text))["input_ids"]))
    by_chance = HFLanguageDataLoaders.from_folder(tmp_path, bert_tokenizer, valid_pct=0.5, block_size=16, **HERE)
    assert len(by_chance.train.dataset) == len(by_chance.valid.dataset) == 10


@pytest.mark.parametrize("kind", [HFDataLoaders, HFWritingDataLoaders, HFQuestionDataLoaders, HFLanguageDataLoaders])
def test_unknown_keywords_are_refused_with_the_nearest(kind, bert_tokenizer):
    with pytest.raises(TypeError, match=r"from_df.*Did you mean 'valid_pct'"):
        kind.from_df(titled(), bert_tokenizer, valid_pc=0.3)


def test_texts_that_are_cut_unasked_are_told_once(bert_tokenizer):
    df = titled()
    df.loc[3, "text"] = "star " * 80
    df.loc[[1, 5], "summary"] = "goal " * 80
    told = r"1 of 20 texts have more than 64 tokens and are cut there.*max_length=64 says that you know"
    with pytest.warns(UserWarning, match=told) as found:
        dls = HFDataLoaders.from_df(df, bert_tokenizer, **HERE)
    assert len(found) == 1
    assert dls.train.dataset.tls[0].tfms.find(HFTokenize).n_truncated == 1
    with pytest.warns(UserWarning, match=r"2 of 20 texts to be written have more than 64 tokens"):
        HFWritingDataLoaders.from_df(df, bert_tokenizer, max_length=32, **HERE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # inside catch_warnings
        HFDataLoaders.from_df(df, bert_tokenizer, max_length=64, **HERE)
        HFWritingDataLoaders.from_df(df, bert_tokenizer, max_length=64, max_target_length=64, **HERE)


def test_texts_to_be_written_are_tokenized_once_and_new_ones_when_they_come(bert_tokenizer):
    block = HFTextBlock(bert_tokenizer), HFWrittenBlock(bert_tokenizer)
    dls = HFWritingDataLoaders.from_df(titled(), bert_tokenizer, **HERE)
    target = block[1].type_tfms[0]
    assert plain(target("star cell")).tolist() == bert_tokenizer(text_target="star cell")["input_ids"]
    again = dls.test_dl(titled().assign(summary="probe theory").iloc[:2], with_labels=True)
    x, y = again.one_batch()
    assert isinstance(x, TokenizedText)
    assert plain(y)[0].tolist() == bert_tokenizer(text_target="probe theory")["input_ids"]
