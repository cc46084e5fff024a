"""Language models of transformers: packing, masking, perplexity, writing on and filling in."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from tests.text.hf.tiny import CONFIGS, Stop, bert_config, rows

from laminar.callbacks import Checkpoint
from laminar.core.errors import ConfigError, DataError
from laminar.core.types import plain
from laminar.data import ColReader, DataBlock, RandomSplitter
from laminar.learner import load_learner
from laminar.metrics import Perplexity
from laminar.text.hf import HFCausalLearner, HFLanguageBlock, HFMaskedLearner, hf_learner
from laminar.text.hf.masking import mask_tokens
from laminar.text.hf.packing import PackedTexts


def loaders(tokenizer, bs=4, n=30, **options):
    block = DataBlock(
        HFLanguageBlock(tokenizer, block_size=16, **options),
        get_x=ColReader("text"),
        splitter=RandomSplitter(0.2, seed=0),
    )
    return block.dataloaders(rows(n), bs=bs, seed=3)


# ---- blocks


def test_each_token_but_the_first_is_a_target_once():
    stream = np.arange(11, dtype=np.int32)
    blocks = PackedTexts(stream, 4)
    assert [len(y) for _, y in blocks] == [4, 4, 2]
    assert torch.cat([plain(x["input_ids"]) for x, _ in blocks]).tolist() == stream[:-1].tolist()
    assert torch.cat([plain(y) for _, y in blocks]).tolist() == stream[1:].tolist()


def test_texts_are_divided_by_the_token_that_ends_them(gpt_tokenizer):
    dls = loaders(gpt_tokenizer)
    stream = dls.train.packed.stream
    assert int((stream == gpt_tokenizer.eos_token_id).sum()) == len(dls.train.dataset) == 24
    assert dls.train.n_items == -(-(len(stream) - 1) // 16) > len(dls.train)


def test_blocks_of_one_token_and_no_words_at_all_are_refused(gpt_tokenizer, bert_tokenizer):
    with pytest.raises(ConfigError, match="block_size must be at least 2"):
        HFLanguageBlock(gpt_tokenizer, block_size=1)
    with pytest.raises(ConfigError, match="has no token that masks"):
        HFLanguageBlock(gpt_tokenizer, masked=True)
    with pytest.raises(ConfigError, match=r"mask_share is between 0 and 1, got 1\.5"):
        HFLanguageBlock(bert_tokenizer, masked=True, mask_share=1.5)


def test_blocks_longer_than_the_model_takes_are_refused(gpt_tokenizer):
    block = DataBlock(HFLanguageBlock(gpt_tokenizer, block_size=100), get_x=ColReader("text"))
    with pytest.raises(ConfigError, match="100 tokens, and the model takes 64"):
        hf_learner(block.dataloaders(rows(30), bs=2), CONFIGS["gpt2"]())


# ---- masks


def test_of_the_chosen_tokens_eight_in_ten_are_masked_and_special_ones_never():
    tokens = np.resize(np.arange(5, 45), 40_000)
    inputs, targets = mask_tokens(tokens, 4, 45, np.random.default_rng(0), 0.15, special=[5, 6])
    chosen = targets != -100
    assert (targets[chosen] == tokens[chosen]).all()
    assert not np.isin(tokens[chosen], [5, 6]).any()
    assert (inputs[~chosen] == tokens[~chosen]).all()
    assert chosen.mean() == pytest.approx(0.15 * 38 / 40, abs=0.01)
    assert (inputs[chosen] == 4).mean() == pytest.approx(0.8, abs=0.03)
    assert (inputs[chosen] == tokens[chosen]).mean() == pytest.approx(0.1, abs=0.02)


def test_a_block_has_always_something_to_find():
    _, targets = mask_tokens(np.array([1, 7, 2]), 4, 9, np.random.default_rng(0), 1e-9, special=[1, 2])
    assert targets.tolist() == [-100, 7, -100]


def test_masks_are_others_in_each_epoch_of_training_and_the_same_in_validation(bert_tokenizer):
    def epoch(dl):
        return torch.cat([plain(x["input_ids"]).flatten() for x, _ in dl])

    dls, again = loaders(bert_tokenizer, bs=64, masked=True), loaders(bert_tokenizer, bs=64, masked=True)
    first, second = epoch(dls.train), epoch(dls.train)
    assert first.sort().values.tolist() != second.sort().values.tolist()
    assert epoch(again.train).equal(first)
    assert epoch(again.train).equal(second)
    assert epoch(dls.valid).equal(epoch(dls.valid))


# ---- learners


def test_a_causal_model_learns_writes_and_survives_an_export(gpt_tokenizer, tmp_path):
    learn = hf_learner(loaders(gpt_tokenizer), CONFIGS["gpt2"](), metrics=Perplexity(), path=tmp_path)
    assert isinstance(learn, HFCausalLearner)
    with learn.no_bar(), learn.no_logging():
        learn.fit(2, 1e-2)
    loss, perplexity = learn.validate()
    assert perplexity == pytest.approx(np.exp(loss), rel=0.05)
    assert perplexity < 150
    sampled = learn.predict("The star", 6, temperature=0.8, top_k=20, top_p=0.9, seed=1)
    assert sampled == learn.predict("The star", max_new_tokens=6, temperature=0.8, top_k=20, top_p=0.9, seed=1)
    assert sampled.startswith("The")
    alone = [learn.generate(text, 5) for text in ("The star", "The goal coach was")]
    assert learn.generate(["The star", "The goal coach was"], 5) == alone
    learn.export("lm.laminar", golden=0)
    loaded = load_learner(tmp_path / "lm.laminar")
    assert loaded.predict("The star", 6, temperature=0) == learn.predict("The star", 6, temperature=0)


def test_the_loss_is_that_of_the_model_on_what_comes_next(gpt_tokenizer):
    learn = hf_learner(loaders(gpt_tokenizer), CONFIGS["gpt2"]())
    x, y = learn.dls.valid.one_batch()
    labels = torch.cat([torch.full((len(y), 1), -100), plain(y)], 1)  # transformers moves them by one itself
    padded = {"input_ids": torch.nn.functional.pad(plain(x["input_ids"]), (0, 1))}
    learn.model.eval()
    theirs = learn.hf_model(**padded, labels=labels).loss
    assert learn.loss_func(learn.model(**plain(x)), plain(y)).item() == pytest.approx(theirs.item(), rel=1e-5)


def test_perplexity_counts_words_and_not_batches():
    metric = Perplexity()
    for loss, target in ((1.0, [[1, 2, 3, -100]]), (3.0, [[5, -100, -100, -100]])):
        metric.accumulate(SimpleNamespace(yb=(torch.tensor(target),), loss=torch.tensor(loss)))
    assert float(metric.value) == pytest.approx(np.exp(1.5))


def test_a_prompt_is_a_text_that_leaves_room(gpt_tokenizer):
    learn = hf_learner(loaders(gpt_tokenizer), CONFIGS["gpt2"]())
    with pytest.raises(DataError, match="a text to begin with is needed"):
        learn.predict("  ", 3)
    with pytest.raises(DataError, match="more than the 64 that the model takes"):
        learn.generate("The star", 64)
    with pytest.raises(ConfigError, match="temperature must be 0 or more, got -1"):
        learn.predict("The star", 3, temperature=-1)
    with pytest.raises(ConfigError, match="top_p is a probability"):
        learn.predict("The star", 3, top_p=2.0)


def test_a_masked_model_learns_fills_in_and_survives_an_export(bert_tokenizer, tmp_path):
    learn = hf_learner(loaders(bert_tokenizer, masked=True), bert_config(), metrics=Perplexity(), path=tmp_path)
    assert isinstance(learn, HFMaskedLearner)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, 1e-2)
    answers = learn.predict("The [MASK] was seen.", k=3)
    assert [a.probability for a in answers] == sorted((a.probability for a in answers), reverse=True)
    assert answers[0].text == f"The {answers[0].token} was seen."
    assert [len(one) for one in learn.predict("[MASK] star [MASK]", k=2)] == [2, 2]
    with pytest.raises(DataError, match=r"has no \[MASK\]"):
        learn.predict("The star was seen.")
    learn.export("mlm.laminar", golden=0)
    assert load_learner(tmp_path / "mlm.laminar").predict("The [MASK] was seen.", k=3)[0].token == answers[0].token


def test_results_show_what_is_said_behind_masks_alone(bert_tokenizer, capsys):
    learn = hf_learner(loaders(bert_tokenizer, masked=True), bert_config())
    learn.dls.show_batch(max_n=2)
    table = learn.show_results(max_n=2, shuffle=False)
    assert table.columns == ["text", "text_", "prediction"]
    assert all(len(true.split(", ")) == len(said.split(", ")) for _, true, said in table.rows)
    assert "[MASK]" in capsys.readouterr().out


def test_masked_training_goes_on_to_the_bit(bert_tokenizer, tmp_path):
    def learner(folder, stop_at=None):
        torch.manual_seed(5)
        checkpoint = Checkpoint("checkpoints", 2)
        dls = loaders(bert_tokenizer, masked=True)
        return hf_learner(dls, bert_config(), path=tmp_path / folder, cbs=[checkpoint, Stop(stop_at)], check=False)

    def train(learn, **options):
        with learn.no_bar(), learn.no_logging():
            learn.fit_one_cycle(2, 1e-2, **options)
        return learn

    whole = train(learner("whole"))
    with pytest.raises(KeyboardInterrupt):
        train(learner("cut", 5))
    rest = train(learner("cut"), resume=True)
    assert rest.recorder.values == whole.recorder.values
    assert all(one.equal(other) for one, other in zip(rest.model.parameters(), whole.model.parameters(), strict=True))


def test_a_model_that_sees_more_or_less_than_it_should_is_refused(bert_tokenizer):
    model = transformers.BertForMaskedLM(bert_config())
    with pytest.raises(ConfigError, match="no causal language model"):
        hf_learner(loaders(bert_tokenizer), model)
    causal = transformers.GPT2LMHeadModel(CONFIGS["gpt2"]())
    with pytest.raises(ConfigError, match="GPT2LMHeadModel is a causal language model and does not see"):
        hf_learner(loaders(bert_tokenizer, masked=True), causal)
