"""Adapters (peft's LoRA), the model's own loss, parameter groups, and what is missing."""

from __future__ import annotations

import sys

import peft
import pytest
import torch
import transformers
from tests.text.hf.tiny import CONFIGS, bert_config, rows

from laminar.core.errors import ConfigError, DataError, MissingExtraError
from laminar.learner.loading import load_learner
from laminar.text.hf import HFDataLoaders, hf_layer_splitter, hf_learner, hf_splitter
from laminar.text.hf.network import hf_network


def loaders(df, tokenizer, **options):
    return HFDataLoaders.from_df(df, tokenizer, **{"seed": 0, "bs": 8, "device": "cpu", **options})


def with_lora() -> peft.PeftModel:
    lora = peft.LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=8, target_modules=["query", "value"])
    return peft.get_peft_model(transformers.BertForSequenceClassification(bert_config()), lora)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks transformers so
def test_lora_trains_and_writes_adapters_and_head_alone(df, bert_tokenizer, tmp_path):
    dls = loaders(df, bert_tokenizer, path=tmp_path)
    learn = hf_learner(dls, with_lora(), lr=1e-2)
    before = {name: p.detach().clone() for name, p in learn.hf_model.named_parameters()}
    with learn.no_bar(), learn.no_logging():
        learn.freeze()
        learn.fit(1)
        learn.unfreeze()
        learn.fit(1)
    moved = [name for name, p in learn.hf_model.named_parameters() if not torch.equal(p, before[name])]
    assert any("lora_" in name for name in moved)
    assert all("lora_" in name or "modules_to_save" in name for name in moved)
    folder = learn.save_pretrained("adapters")
    assert (folder / "adapter_model.safetensors").stat().st_size < 20_000
    assert not (folder / "model.safetensors").exists()
    torch.manual_seed(0)
    exported = load_learner(learn.export("lora.laminar"))
    assert torch.allclose(exported.predict(df.text[0])[2], learn.predict(df.text[0])[2], atol=1e-6)
    base = learn.hf_model.get_base_model()
    again = peft.PeftModel.from_pretrained(transformers.BertForSequenceClassification(base.config), folder)
    names = [name for name in again.state_dict() if "lora_" in name]
    assert all(torch.equal(again.state_dict()[name], learn.hf_model.state_dict()[name]) for name in names)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks transformers so
def test_a_folder_of_adapters_is_its_model_with_these(df, bert_tokenizer, tmp_path):
    dls = loaders(df, bert_tokenizer, path=tmp_path)
    base = hf_learner(dls, bert_config()).save_pretrained("base")
    lora = peft.LoraConfig(task_type="SEQ_CLS", r=4, target_modules=["query"])
    model = peft.get_peft_model(transformers.AutoModelForSequenceClassification.from_pretrained(base), lora)
    learn = hf_learner(dls, model)
    folder = learn.save_pretrained("adapters")
    again = hf_learner(dls, folder)
    assert torch.equal(again.get_preds()[0], learn.get_preds()[0])
    assert [len(group) for group in hf_splitter(again.model)] == [len(group) for group in hf_splitter(learn.model)]
    assert torch.allclose(load_learner(again.export("again.laminar")).get_preds(dl=dls.valid)[0], learn.get_preds()[0])
    with pytest.raises(DataError, match="do not say which model they belong to"):
        hf_learner(dls, hf_learner(dls, with_lora()).save_pretrained("of nothing"))
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(DataError, match=r"has no adapter_model\.safetensors"):
        hf_learner(dls, folder)


@pytest.mark.parametrize("name", CONFIGS)
def test_groups_are_embeddings_layers_and_head(name):
    model = transformers.AutoModelForSequenceClassification.from_config(CONFIGS[name]())
    groups, by_layer = hf_splitter(model), hf_layer_splitter(model)
    assert (len(groups), len(by_layer)) == (3, 4)
    for found in (groups, by_layer):
        assert sorted(id(p) for group in found for p in group) == sorted(id(p) for p in model.parameters())
    assert any(p is model.get_input_embeddings().weight for p in groups[0])
    in_head = {id(p) for p in groups[-1]}
    heads = [p for module in ("classifier", "score") for p in getattr(model, module, torch.nn.Module()).parameters()]
    assert heads
    assert all(id(p) in in_head for p in heads)


def test_a_head_is_a_group_of_its_own_where_the_base_is_no_part_of_the_model():
    model = transformers.T5ForQuestionAnswering(
        transformers.T5Config(vocab_size=9, d_model=8, d_kv=4, d_ff=8, num_layers=2, num_heads=2)
    )
    embeddings, layers, head = hf_splitter(model)
    assert {id(p) for p in head} == {id(p) for p in model.qa_outputs.parameters()}
    assert len(hf_layer_splitter(model)) == 4
    assert len(embeddings) + len(layers) + len(head) == len(list(model.parameters()))


def test_the_models_own_loss_is_trained_where_it_is_asked_for(df, bert_tokenizer, tmp_path):
    class Sterner(transformers.BertForSequenceClassification):
        def forward(self, *args, **kwargs):
            output = super().forward(*args, **kwargs)
            output.loss = None if output.loss is None else output.loss + 5
            return output

    learn = hf_learner(loaders(df, bert_tokenizer, path=tmp_path), Sterner(bert_config()), own_loss=True)
    assert learn.validate()[0] > 5
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
    assert learn.get_preds(with_loss=True)[2].max() < 5  # of single items: the task's
    assert learn.predict(df.text[0])[0] in ("science", "sport")
    assert learn.show_results(max_n=1) is not None


def test_what_a_file_may_ask_for_is_bounded(monkeypatch):
    config = bert_config().to_dict()
    assert hf_network("BertForSequenceClassification", config).config.num_labels == 2
    for changed in ({"hidden_size": 10**12}, {"num_hidden_layers": 10**6}):
        with pytest.raises(ConfigError, match="more than any model has"):
            hf_network("BertForSequenceClassification", {**config, **changed})
    for name in ("pipeline", "BertTokenizer", "_Hidden", "NoSuchModel"):
        with pytest.raises(ConfigError, match="has no model of class"):
            hf_network(name, config)


def test_without_the_extra_it_is_named(df, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"laminar\[hf\]"):
        HFDataLoaders.from_df(rows(), "some-tokenizer")
