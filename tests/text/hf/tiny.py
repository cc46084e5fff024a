"""Tiny tokenizers trained here, tiny models made from configurations, and texts whose class one can see."""

from __future__ import annotations

import random

import pandas as pd
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from laminar.callbacks import Callback

WORDS = {"science": ["star", "cell", "probe", "theory"], "sport": ["match", "goal", "coach", "league"]}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def rows(n: int = 24, seed: int = 0) -> pd.DataFrame:
    """Texts of two kinds, in turn."""
    draw = random.Random(seed)
    kinds = [list(WORDS)[number % 2] for number in range(n)]
    texts = [f"The {' '.join(draw.choices(WORDS[kind], k=draw.randint(2, 7)))} was seen." for kind in kinds]
    return pd.DataFrame({"text": texts, "label": kinds})


def word_pieces() -> transformers.PreTrainedTokenizerFast:
    """As BERT's: WordPiece, with [CLS] and [SEP]."""
    trained = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    trained.normalizer = normalizers.BertNormalizer()
    trained.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trained.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=90, special_tokens=SPECIAL, show_progress=False)
    trained.train_from_iterator(rows(60).text, trainer)
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    trained.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=trained,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def byte_pairs() -> transformers.PreTrainedTokenizerFast:
    """As GPT-2's: pairs of bytes, no token to pad with and none around a text."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    trained.train_from_iterator(rows(60).text, trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=trained, eos_token="<|endoftext|>", bos_token="<|endoftext|>", model_max_length=64
    )


def bert_config(**changes: object) -> transformers.BertConfig:
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    return transformers.BertConfig(**{"vocab_size": 100, "max_position_embeddings": 64, **sizes, **changes})


CONFIGS = {
    "bert": bert_config,
    "roberta": lambda: transformers.RobertaConfig(
        vocab_size=300, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=66, type_vocab_size=1,
    ),
    "distilbert": lambda: transformers.DistilBertConfig(
        vocab_size=100, dim=16, n_layers=2, n_heads=2, hidden_dim=32, max_position_embeddings=64
    ),
    "gpt2": lambda: transformers.GPT2Config(vocab_size=300, n_embd=16, n_layer=2, n_head=2, n_positions=64),
    "llama": lambda: transformers.LlamaConfig(
        vocab_size=100, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=64, bos_token_id=2, eos_token_id=3,
    ),
}  # fmt: skip


class Stop(Callback):
    """Ends the process, as it were, after some batches."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at

    def after_batch(self) -> None:
        if self.training and self.train_iter == self.at:
            raise KeyboardInterrupt
