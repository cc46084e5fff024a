"""Tags of words: given to the tokens that a tokenizer makes of them, learned, and shown with the words again."""

from __future__ import annotations

import datasets
import pandas as pd
import pytest
import torch
import transformers
from tests.text.hf.tiny import bert_config

from laminar.core.errors import DataError
from laminar.core.types import plain
from laminar.interpret.base import Interpretation
from laminar.learner.loading import load_learner
from laminar.text.hf import (
    EntityF1,
    EntityPrecision,
    EntityRecall,
    HFDataLoaders,
    TokenAccuracy,
    entities_of,
    hf_learner,
)

TAG = {"star": "B-THING", "cell": "B-THING", "coach": "B-PERSON", "goal": "O", "was": "O", "seen": "O"}
HERE = {"seed": 0, "bs": 8, "device": "cpu"}


def tagged(n: int = 32) -> pd.DataFrame:
    words = list(TAG)
    texts = [[words[(row * 5 + place * place) % len(words)] for place in range(2 + row % 5)] for row in range(n)]
    return pd.DataFrame({"tokens": texts, "tags": [[TAG[word] for word in text] for text in texts]})


def loaders(df, tokenizer, **options):
    return HFDataLoaders.from_df(df, tokenizer, "tokens", "tags", **{**HERE, **options})


def test_the_first_token_of_a_word_gets_its_tag(bert_tokenizer):
    df = pd.DataFrame({"tokens": [["starcell", "goal"]] * 4, "tags": [["B-THING", "O"]] * 4})
    dls = loaders(df, bert_tokenizer, valid_pct=0.25)
    x, y = dls.valid.one_batch()
    vocab = list(dls.vocab)
    tokens = bert_tokenizer.convert_ids_to_tokens(x["input_ids"][0].tolist())
    assert tokens == ["[CLS]", "star", *tokens[2:-2], "goal", "[SEP]"]
    n_more = len(tokens) - 4
    assert n_more > 0
    expected = [-100, vocab.index("B-THING"), *[-100] * n_more, vocab.index("O"), -100]
    assert plain(y)[0].tolist() == expected
    words, tags = dls.decode_batch((x, y))[0]
    assert words == ["starcell", "goal"]
    assert tags == ["B-THING", "O"]


def test_tags_are_learned_predicted_and_shown(bert_tokenizer, tmp_path, capsys):
    dls = loaders(tagged(), bert_tokenizer, path=tmp_path)
    metrics = [TokenAccuracy(), EntityF1(), EntityPrecision(), EntityRecall()]
    learn = hf_learner(dls, bert_config(), metrics=metrics, lr=1e-2)
    assert isinstance(learn.model.hf_model, transformers.BertForTokenClassification)
    assert learn.model.config.id2label == dict(enumerate(dls.vocab))
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(12, 1e-2)
    _, accuracy, *scores = learn.validate()
    assert accuracy == 1.0
    assert scores == [1.0, 1.0, 1.0]
    tags, _, _ = learn.predict(["star", "goal", "coach"])
    assert tags == ["B-THING", "O", "B-PERSON"]
    preds, targets = learn.get_preds()
    assert len(preds) == len(targets) == dls.valid.n
    assert all(torch.allclose(one.sum(-1), torch.ones(len(one)), atol=1e-4) for one in preds)
    capsys.readouterr()
    assert "[B-" in str(dls.show_batch(max_n=2))
    table = learn.show_results(max_n=2)
    assert table.columns == ["text and tags", "prediction"]
    assert "background" in table._repr_html_()
    Interpretation.from_learner(learn).plot_top_losses(2)
    learn.export("tags.laminar")
    loaded = load_learner(tmp_path / "tags.laminar")
    assert loaded.predict(["star", "goal", "coach"])[0] == tags


def test_our_loss_is_the_models_own(bert_tokenizer):
    dls = loaders(tagged(), bert_tokenizer)
    learn = hf_learner(dls, bert_config())
    x, y = dls.valid.one_batch()
    learn.model.eval()
    inputs = {key: plain(part) for key, part in x.items()}
    with torch.no_grad():
        own = learn.model(**inputs, labels=plain(y))["loss"]
        assert torch.allclose(learn.loss_func(learn.model(**inputs), y), own, atol=1e-5)


def test_a_data_set_with_numbered_tags_gives_their_names(bert_tokenizer):
    feature = datasets.Sequence(datasets.ClassLabel(names=["O", "B-THING"]))
    features = datasets.Features({"tokens": datasets.Sequence(datasets.Value("string")), "ner_tags": feature})
    rows = {"tokens": [["star", "goal"]] * 6, "ner_tags": [[1, 0]] * 6}
    dls = HFDataLoaders.from_dataset(
        datasets.Dataset.from_dict(rows, features=features), bert_tokenizer, "tokens", "ner_tags", **HERE
    )
    assert sorted(dls.vocab) == ["B-THING", "O"]


def test_texts_that_are_cut_lose_their_last_tags_and_others_need_all(bert_tokenizer):
    df = tagged()
    short = loaders(df, bert_tokenizer, max_length=4)
    assert short.train.one_batch()[1].shape[1] <= 4
    df.at[0, "tags"] = ["O"]
    with pytest.raises(DataError, match="a text has 2 words and 1 tags"):
        list(loaders(df, bert_tokenizer, valid_pct=0.5, check=False).train)
    with pytest.raises(DataError, match="a list of tags is needed"):
        loaders(df.assign(tags="O"), bert_tokenizer)


def test_entities_are_whole_spans():
    assert entities_of(["B-PER", "I-PER", "O", "B-PER", "B-PER"]) == {("PER", 0, 2), ("PER", 3, 4), ("PER", 4, 5)}
    assert entities_of(["I-LOC", "I-PER", "I-PER"]) == {("LOC", 0, 1), ("PER", 1, 3)}
    assert entities_of(["S-LOC", "B-PER", "I-PER", "E-PER", "O"]) == {("LOC", 0, 1), ("PER", 1, 4)}
    assert entities_of(["O", "O"]) == set()
