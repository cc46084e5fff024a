"""Which tokens a classifier of transformers decides by: gradient times input, whatever its family."""

from __future__ import annotations

import peft
import pytest
import torch
import transformers
from tests.text.hf.tiny import CONFIGS, bert_config, rows

from laminar.core.errors import ConfigError
from laminar.core.types import plain
from laminar.data import RandomSplitter
from laminar.text.attribution import token_attributions
from laminar.text.hf import HFDataLoaders, HFLanguageDataLoaders, HFQuestionDataLoaders, hf_learner

T5 = transformers.T5Config(
    vocab_size=100, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, pad_token_id=0, eos_token_id=3,
    decoder_start_token_id=0,
)  # fmt: skip
BART = transformers.BartConfig(
    vocab_size=100, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
    decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=64, pad_token_id=0,
    bos_token_id=2, eos_token_id=3, decoder_start_token_id=2,
)  # fmt: skip
TEXT = "The star was seen."


def loaders(tokenizer, **options):
    return HFDataLoaders.from_df(rows(20), tokenizer, seed=0, bs=4, device="cpu", **options)


def test_a_model_that_is_linear_in_its_embeddings_is_told_exactly(bert_tokenizer):
    learn = hf_learner(loaders(bert_tokenizer), bert_config())

    class Sum(torch.nn.Module):
        """Adds up the embeddings of a text's tokens."""

        def __init__(self, bert):
            super().__init__()
            self.words = bert.get_input_embeddings()

        def forward(self, input_ids, **others):
            return type("Output", (dict,), {})(logits=self.words(input_ids).sum(1)[:, :2])

    learn.hf_model.forward = Sum(learn.hf_model).forward
    found = token_attributions(learn, TEXT, "sport")
    ids = bert_tokenizer(TEXT)["input_ids"]
    expected = learn.hf_model.get_input_embeddings().weight[ids, 1]
    assert found.scores == pytest.approx(expected.tolist(), abs=1e-6)
    assert sum(found.scores) == pytest.approx(found.output, abs=1e-5)
    assert [token for token in found.tokens if token[0] != "["] == ["the", "star", "was", "seen", "."]
    assert found.label == "sport"


@pytest.mark.parametrize("config", [CONFIGS["distilbert"](), CONFIGS["llama"](), T5, BART], ids=lambda c: c.model_type)
def test_every_family_has_a_share_for_each_token(config, bert_tokenizer):
    learn = hf_learner(loaders(bert_tokenizer, pad_to_multiple_of=16), config)
    before = {name: p.grad for name, p in learn.model.named_parameters()}
    found = token_attributions(learn, TEXT)
    assert len(found.tokens) == len(found.scores) == len(bert_tokenizer(TEXT)["input_ids"])
    assert any(score != 0 for score in found.scores)
    x = plain(learn.dls.test_dl([TEXT]).one_batch()[0])
    with torch.no_grad():
        assert found.output == pytest.approx(float(learn.model.eval()(**x)[0].max()), abs=1e-5)
    assert {name: p.grad for name, p in learn.model.named_parameters()} == before, "nothing is trained"


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks transformers so
def test_adapters_pairs_and_quantities_are_told_too(bert_tokenizer):
    df = rows(20).assign(other="a goal was seen", size=[float(number) for number in range(20)])
    options = {"seed": 0, "bs": 4, "device": "cpu"}
    pairs = HFDataLoaders.from_df(df, bert_tokenizer, ["text", "other"], "size", **options)
    model = transformers.BertForSequenceClassification(bert_config(num_labels=1))
    lora = peft.get_peft_model(model, peft.LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query"]))
    found = token_attributions(hf_learner(pairs, lora), ("star", "goal"))
    assert [token for token in found.tokens if token[0] != "["] == ["star", "goal"]


def test_models_that_do_not_classify_texts_are_refused(bert_tokenizer):
    words = HFLanguageDataLoaders.from_df(rows(20), bert_tokenizer, block_size=16, seed=0, bs=4, device="cpu")
    with pytest.raises(ConfigError, match="no classifier"):
        token_attributions(hf_learner(words, CONFIGS["llama"]()), TEXT)
    df = rows(8).assign(question="What?", answers="was")
    asked = HFQuestionDataLoaders.from_df(
        df, bert_tokenizer, context_col="text", max_length=32, stride=4, splitter=RandomSplitter(seed=0), bs=4
    )
    with pytest.raises(ConfigError, match="BertForQuestionAnswering is no classifier of whole texts"):
        token_attributions(hf_learner(asked, bert_config()), ("What?", TEXT))
    with pytest.raises(ConfigError, match="there is no class 'art'; there are science, sport"):
        token_attributions(hf_learner(loaders(bert_tokenizer), bert_config()), TEXT, "art")
