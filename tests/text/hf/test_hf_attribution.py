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


def test_what_tokens_add_agrees_with_what_their_absence_changes(bert_tokenizer):
    df = rows(80)
    learn = hf_learner(HFDataLoaders.from_df(df, bert_tokenizer, seed=0, bs=16, device="cpu"), bert_config())
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(4, 1e-2)
    agreement = []
    for text in df.text[:6]:
        numbers = torch.tensor(bert_tokenizer(text)["input_ids"])
        each_masked = numbers.repeat(len(numbers) + 1, 1)
        each_masked[1:].fill_diagonal_(bert_tokenizer.mask_token_id)
        with torch.no_grad():
            outputs = learn.model.eval()(input_ids=each_masked, attention_mask=torch.ones_like(each_masked))[:, 1]
        found = token_attributions(learn, text, "sport")
        assert found.label == "sport"
        assert found.output == pytest.approx(float(outputs[0]), abs=1e-5)
        assert found.tokens == [bert_tokenizer.decode([number]) for number in numbers.tolist()]
        both = torch.stack([(outputs[0] - outputs[1:])[1:-1], torch.tensor(found.scores)[1:-1]])
        agreement.append(float(torch.corrcoef(both)[0, 1]))
    assert min(agreement) > 0.6
    assert sum(agreement) / len(agreement) > 0.9


ALBERT = transformers.AlbertConfig(
    vocab_size=100, embedding_size=8, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
    max_position_embeddings=64,
)  # fmt: skip
SEVERAL = [CONFIGS["distilbert"](), CONFIGS["llama"](), ALBERT, T5, BART]


@pytest.mark.parametrize("config", SEVERAL, ids=lambda config: config.model_type)
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
