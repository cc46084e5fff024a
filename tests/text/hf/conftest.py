"""What the tests of models of transformers share."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
import transformers
from tests.text.hf.tiny import byte_pairs, rows, word_pieces

from laminar.core.seed import no_random


@pytest.fixture(scope="session")
def bert_tokenizer() -> transformers.PreTrainedTokenizerFast:
    return word_pieces()


@pytest.fixture(scope="session")
def gpt_tokenizer() -> transformers.PreTrainedTokenizerFast:
    return byte_pairs()


@pytest.fixture
def tokenizer_for(bert_tokenizer, gpt_tokenizer):
    return lambda name: gpt_tokenizer if name in ("gpt2", "roberta") else bert_tokenizer


@pytest.fixture(autouse=True)
def _repeatable():
    with no_random():
        torch.manual_seed(0)
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_bars():
    transformers.utils.logging.disable_progress_bar()
    yield
    transformers.utils.logging.enable_progress_bar()


@pytest.fixture
def df() -> pd.DataFrame:
    return rows()
