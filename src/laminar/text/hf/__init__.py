"""Models of transformers (extra ``hf``) as first-class citizens: their tokenizers in blocks, themselves in learners."""

import laminar.text.hf.showing  # noqa: F401  # says how texts are shown
from laminar.text.hf.blocks import HFTextBlock
from laminar.text.hf.data import HFDataLoaders, HFLoadersOptions, HFTableOptions
from laminar.text.hf.inputs import TokenizedText
from laminar.text.hf.learner import HFLearner, hf_learner
from laminar.text.hf.model import HFModel
from laminar.text.hf.splitters import hf_layer_splitter, hf_splitter
from laminar.text.hf.tasks import HFTask, SequenceClassification, register_task
from laminar.text.hf.tokenizer import HFTokenizer
from laminar.text.hf.tokenizing import HFPad, HFTextDL, HFTokenize, TextFields

__all__ = [
    "HFDataLoaders", "HFLearner", "HFLoadersOptions", "HFModel", "HFPad", "HFTableOptions", "HFTask", "HFTextBlock",
    "HFTextDL", "HFTokenize", "HFTokenizer", "SequenceClassification", "TextFields", "TokenizedText",
    "hf_layer_splitter", "hf_learner", "hf_splitter", "register_task",
]  # fmt: skip
