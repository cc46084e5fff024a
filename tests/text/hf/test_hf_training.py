"""Techniques of training, with models of transformers: each does what it does with any other model."""

from __future__ import annotations

import pytest
import torch
import transformers
from tests.text.hf.tiny import Stop, bert_config, rows

from laminar.callbacks import EMA, Checkpoint, GradientAccumulation
from laminar.data import DataLoaders
from laminar.learner import load_learner
from laminar.metrics import accuracy
from laminar.text.hf import HFDataLoaders, hf_layer_splitter, hf_learner


def loaders(tokenizer, df=None, **options):
    return HFDataLoaders.from_df(
        rows(40) if df is None else df, tokenizer, **{"seed": 0, "bs": 8, "device": "cpu", **options}
    )


def quiet(learn, method="fit_one_cycle", *arguments, **options):
    with learn.no_bar(), learn.no_logging():
        getattr(learn, method)(*arguments, **options)
    return learn


def test_accumulated_batches_of_several_lengths_train_as_one_large(bert_tokenizer):
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}

    def trained(bs, **options):
        torch.manual_seed(1)
        dls = loaders(bert_tokenizer, valid_pct=0.4, bs=bs)
        learn = hf_learner(dls, bert_config(**still), opt_func=torch.optim.SGD, **options)
        batches = list(dls.valid.eval_loader())  # in the order of the items, whatever their number in a batch
        learn.dls = DataLoaders(batches, batches)
        return [p.detach() for p in quiet(learn, "fit", 2, 0.3).model.parameters()]

    small, large = trained(4, cbs=GradientAccumulation(16)), trained(16)
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(small, large, strict=True))


def test_training_is_in_bfloat16_where_asked_and_weights_stay_exact(bert_tokenizer, tmp_path):
    learn = hf_learner(loaders(bert_tokenizer, rows(64), path=tmp_path), bert_config(), metrics=accuracy).to_bf16()
    seen = []
    first = learn.hf_model.bert.encoder.layer[0].intermediate.dense
    first.register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    before = learn.validate()[0]
    quiet(learn, "fit_one_cycle", 6, 1e-2)
    assert torch.bfloat16 in seen
    assert learn.validate()[0] < before
    assert {p.dtype for p in learn.model.parameters()} == {torch.float32}
    text = "The goal was seen."
    loaded = load_learner(learn.export("bf16.laminar"))
    assert torch.allclose(loaded.predict(text)[2], learn.predict(text)[2], atol=0.02)


def test_a_training_goes_on_to_the_bit_in_the_middle_of_an_epoch(bert_tokenizer, tmp_path):
    def learner(folder, stop_at=None):
        torch.manual_seed(5)
        cbs = [Checkpoint("checkpoints", 2), Stop(stop_at), GradientAccumulation(16)]
        return hf_learner(loaders(bert_tokenizer), bert_config(), path=tmp_path / folder, cbs=cbs, check=False)

    whole = quiet(learner("whole"), "fit_one_cycle", 2, slice(1e-3, 1e-2))
    with pytest.raises(KeyboardInterrupt):
        quiet(learner("cut", 3), "fit_one_cycle", 2, slice(1e-3, 1e-2))
    rest = quiet(learner("cut"), "fit_one_cycle", 2, slice(1e-3, 1e-2), resume=True)
    assert rest.recorder.values == whole.recorder.values
    assert all(one.equal(other) for one, other in zip(rest.model.parameters(), whole.model.parameters(), strict=True))


def test_rates_fall_from_layer_to_layer_and_averages_are_what_is_written(bert_tokenizer, tmp_path):
    rates = []

    class Rates(Stop):
        def after_batch(self):
            rates.append({group["layer_group"]: group["lr"] for group in self.opt.param_groups})

    learn = hf_learner(
        loaders(bert_tokenizer, path=tmp_path), bert_config(), splitter=hf_layer_splitter, cbs=[EMA(0.9), Rates()]
    )
    quiet(learn, "fit", 1, slice(1e-5, 1e-3))
    assert len(rates[0]) == 4, "embeddings, two layers, head"
    assert [rates[0][number] for number in range(4)] == sorted(rates[0].values())
    assert rates[0][0] == pytest.approx(1e-5)
    assert rates[0][3] == pytest.approx(1e-3)
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(learn.save_pretrained("averaged"))
    assert all(
        torch.equal(one, other) for one, other in zip(theirs.parameters(), learn.hf_model.parameters(), strict=True)
    )
