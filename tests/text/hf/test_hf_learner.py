"""`hf_learner`: models of transformers in a learner, for classes, several classes and quantities of texts."""

from __future__ import annotations

import pytest
import torch
import transformers
from tests.text.hf.tiny import CONFIGS, bert_config, rows

from laminar.core.errors import ConfigError, DataError
from laminar.core.types import plain
from laminar.learner.loading import load_learner
from laminar.metrics.classification import accuracy
from laminar.text.hf import HFDataLoaders, HFLearner, hf_learner


def loaders(df, tokenizer, **options):
    return HFDataLoaders.from_df(df, tokenizer, **{"seed": 0, "bs": 8, "device": "cpu", **options})


@pytest.mark.parametrize("name", CONFIGS)
def test_every_architecture_learns_in_the_same_loop(name, df, tokenizer_for, tmp_path):
    dls = loaders(rows(64), tokenizer_for(name), path=tmp_path)
    learn = hf_learner(dls, CONFIGS[name](), metrics=accuracy, lr=1e-2)
    before = learn.validate()
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(6, 1e-2)
    after = learn.validate()
    assert after[0] < before[0] * 0.7
    assert after[1] > 0.9
    preds, _ = learn.get_preds()
    assert preds.shape == (12, 2)
    assert torch.allclose(preds.sum(1), torch.ones(12), atol=1e-5)
    word, number, probabilities = learn.predict(df.text[0])
    assert word == learn.model.config.id2label[int(number)]
    assert int(probabilities.argmax()) == int(number)


@pytest.mark.parametrize("name", CONFIGS)
def test_our_loss_is_the_models_own(name, df, tokenizer_for):
    dls = loaders(df, tokenizer_for(name))
    learn = hf_learner(dls, CONFIGS[name]())
    x, y = dls.valid.one_batch()
    learn.model.eval()
    inputs = {key: plain(part) for key, part in x.items()}
    with torch.no_grad():
        own = learn.model(**inputs, labels=plain(y))
        assert torch.allclose(learn.loss_func(learn.model(**inputs), y), own["loss"], atol=1e-6)


def test_classes_come_from_the_data(df, bert_tokenizer):
    learn = hf_learner(loaders(df, bert_tokenizer), bert_config())
    config = learn.model.config
    assert config.num_labels == 2
    assert config.id2label == {0: "science", 1: "sport"}
    assert config.label2id == {"science": 0, "sport": 1}
    assert config.problem_type == "single_label_classification"


def test_several_classes_and_quantities_say_so_themselves(df, bert_tokenizer):
    df["kinds"] = ["a b" if n % 3 else "" for n in range(len(df))]
    df["size"] = [float(n) for n in range(len(df))]
    several = hf_learner(loaders(df, bert_tokenizer, label_col="kinds", label_delim=" "), bert_config())
    assert several.model.config.problem_type == "multi_label_classification"
    assert several.get_preds()[0].shape == (4, 2)
    quantity = hf_learner(loaders(df, bert_tokenizer, label_col="size"), bert_config())
    assert quantity.model.config.problem_type == "regression"
    assert quantity.model.config.num_labels == 1
    two = df.assign(other=df["size"] * 2)
    assert hf_learner(loaders(two, bert_tokenizer, label_col=["size", "other"]), bert_config()).get_preds()[
        0
    ].shape == (
        4,
        2,
    )
    for learn in (several, quantity):
        x, y = learn.dls.valid.one_batch()
        learn.model.eval()
        with torch.no_grad():
            inputs = {key: plain(part) for key, part in x.items()}
            labels = plain(y).float()
            ours = learn.loss_func(learn.model(**inputs), y)
            assert torch.allclose(ours, learn.model(**inputs, labels=labels)["loss"], atol=1e-5)


def test_fine_tuning_freezes_all_but_the_head_and_trains_all_then(df, bert_tokenizer):
    learn = hf_learner(loaders(df, bert_tokenizer), bert_config())
    learn.freeze()
    frozen = [name for name, p in learn.model.hf_model.named_parameters() if not p.requires_grad]
    assert frozen
    assert all("classifier" not in name and "pooler" not in name for name in frozen)
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(1, 1e-3)
    assert all(p.requires_grad for p in learn.model.parameters())
    assert {group["layer_group"] for group in learn.opt.param_groups} == {0, 1, 2}


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_an_exported_learner_predicts_the_same_without_transformers_files(name, df, tokenizer_for, tmp_path):
    dls = loaders(df, tokenizer_for(name), path=tmp_path)
    learn = hf_learner(dls, CONFIGS[name]())
    learn.export("model.laminar")
    loaded = load_learner(tmp_path / "model.laminar")
    assert isinstance(loaded, HFLearner)
    expected, found = learn.predict(df.text[3]), loaded.predict(df.text[3])
    assert found[0] == expected[0]
    assert torch.allclose(found[2], expected[2], atol=1e-6)
    assert loaded.model.config.id2label == {0: "science", 1: "sport"}


def test_what_save_pretrained_writes_is_read_by_transformers_and_by_us(df, bert_tokenizer, tmp_path):
    learn = hf_learner(loaders(df, bert_tokenizer, path=tmp_path), bert_config())
    folder = learn.save_pretrained("saved")
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    assert theirs.config.id2label == {0: "science", 1: "sport"}
    again = hf_learner(loaders(df, folder, path=tmp_path), folder)
    assert torch.allclose(again.get_preds()[0], learn.get_preds()[0], atol=1e-5)
    pipe = transformers.pipeline("text-classification", model=str(folder), device="cpu")
    assert pipe(df.text[0])[0]["label"] == learn.predict(df.text[0])[0]


def test_a_folder_gets_a_new_head_for_other_classes(df, bert_tokenizer, tmp_path):
    folder = hf_learner(loaders(df, bert_tokenizer, path=tmp_path), bert_config()).save_pretrained("saved")
    df["label"] = [("a", "b", "c")[n % 3] for n in range(len(df))]
    learn = hf_learner(loaders(df, folder), folder)
    assert learn.model.config.num_labels == 3
    assert learn.lr == 5e-5


def test_a_training_goes_on_after_save_and_load(df, bert_tokenizer, tmp_path):
    learn = hf_learner(loaders(df, bert_tokenizer, path=tmp_path), bert_config())
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, 1e-3)
    learn.save("half")
    other = hf_learner(loaders(df, bert_tokenizer, path=tmp_path), bert_config()).load("half")
    assert torch.equal(other.get_preds()[0], learn.get_preds()[0])


def test_what_does_not_fit_is_told(df, bert_tokenizer):
    dls = loaders(df, bert_tokenizer)
    with pytest.raises(ConfigError, match=r"the tokenizer has \d+ tokens, and the model rows for 40"):
        hf_learner(dls, bert_config(vocab_size=40))
    three = transformers.BertForSequenceClassification(bert_config(num_labels=3))
    with pytest.raises(ConfigError, match=r"the data have 2 classes or quantities, and this .* has 3 outputs"):
        hf_learner(dls, three)
    with pytest.raises(ConfigError, match="no model of transformers"):
        hf_learner(dls, torch.nn.Linear(1, 1))
    with pytest.raises(TypeError, match="Did you mean 'metrics'"):
        hf_learner(dls, bert_config(), metric=accuracy)


def test_a_model_for_another_task_is_told(df, bert_tokenizer):
    dls = loaders(df, bert_tokenizer)
    for kind in (transformers.BertForTokenClassification, transformers.BertLMHeadModel):
        with pytest.raises(
            ConfigError, match=rf"for sequence classification, and {kind.__name__} is .* something else"
        ):
            hf_learner(dls, kind(bert_config()))
    with pytest.raises(
        ConfigError, match=r"BertModel returns last_hidden_state.* has no head for sequence classification"
    ):
        hf_learner(dls, transformers.BertModel(bert_config()))
    with pytest.raises(ConfigError, match="no model for sequence classification with a MarianConfig"):
        hf_learner(dls, transformers.MarianConfig())


def test_a_folder_that_is_no_model_says_what_it_holds(df, bert_tokenizer, tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(DataError, match=r"no model for sequence .* it has no config\.json\. It holds: notes\.txt"):
        hf_learner(loaders(df, bert_tokenizer), tmp_path)
    with pytest.raises(DataError, match=r"no tokenizer in the folder .* no tokenizer\.json .* It holds: notes\.txt"):
        loaders(df, tmp_path)
    with pytest.raises(DataError, match=r"it is a file\. Pass the folder"):
        loaders(df, tmp_path / "notes.txt")
    with pytest.raises(DataError, match="no such folder"):
        hf_learner(loaders(df, bert_tokenizer), "no/such/folder")


def test_a_tokenizer_may_tell_more_kinds_of_text_apart_than_the_model(df, bert_tokenizer):
    pairs = loaders(df.assign(other=df.text), bert_tokenizer, text_col=["text", "other"])
    model = transformers.RobertaConfig(**{**CONFIGS["roberta"]().to_dict(), "vocab_size": 100})
    assert hf_learner(pairs, model).get_preds()[0].shape == (4, 2)


@pytest.mark.filterwarnings("error")
def test_a_model_without_a_token_to_pad_with_is_told_the_tokenizers_and_exported(df, bert_tokenizer, tmp_path):
    learn = hf_learner(loaders(df, bert_tokenizer, path=tmp_path), CONFIGS["llama"]())
    assert learn.hf_model.config.pad_token_id == bert_tokenizer.pad_token_id
    together, alone = learn.get_preds()[0][0], learn.predict(learn.dls.valid_ds.items.text.iloc[0])[2]
    assert torch.allclose(together, alone, atol=1e-5), "padding counts for nothing"
    learn.export("llama.laminar")
    loaded = load_learner(tmp_path / "llama.laminar")
    assert torch.allclose(loaded.predict(df.text[0])[2], learn.predict(df.text[0])[2], atol=1e-6)
    assert loaded.hf_model.config.pad_token_id == bert_tokenizer.pad_token_id


def test_texts_longer_than_the_model_takes_are_cut_as_asked_or_refused(df, bert_tokenizer):
    df.loc[0, "text"] = "star " * 80
    with pytest.warns(UserWarning, match="1 of 24 texts have more than 64 tokens"):
        dls = loaders(df, bert_tokenizer)  # the tokenizer knows its model's limit
    learn = hf_learner(dls, bert_config())
    assert learn.predict("star " * 200)[0] in ("science", "sport")
    with pytest.raises(ConfigError, match=r"a text of 64 tokens, and the model takes 32.*max_length=32"):
        hf_learner(dls, bert_config(max_position_embeddings=32))
    short = loaders(df, bert_tokenizer, max_length=32)
    assert max(len(row) for row in short.train.one_batch()[0]["input_ids"]) <= 32
    hf_learner(short, bert_config(max_position_embeddings=32))
