"""Models of transformers (extra ``hf``) as first-class citizens: their tokenizers in blocks, themselves in learners."""

import laminar.text.hf.showing  # noqa: F401  # says how texts are shown
from laminar.text.hf.answering import (
    AnswerF1,
    AnswerSpanLoss,
    ExactMatch,
    HFAnswerLearner,
    QuestionAnswering,
)
from laminar.text.hf.base_learner import HFLearner
from laminar.text.hf.blocks import AddPrefix, HFTextBlock
from laminar.text.hf.data import HFDataLoaders, HFFolderOptions
from laminar.text.hf.entities import EntityF1, EntityPrecision, EntityRecall, TokenAccuracy, entities_of
from laminar.text.hf.inputs import TokenizedText, Words
from laminar.text.hf.language import CausalLanguageModel, Filled, HFCausalLearner, HFMaskedLearner, MaskedLanguageModel
from laminar.text.hf.learner import hf_learner
from laminar.text.hf.model import HFModel
from laminar.text.hf.own_loss import OwnLoss
from laminar.text.hf.packing import HFBlockDL, HFLanguageBlock
from laminar.text.hf.question_data import HFQuestionBlock, HFQuestionDL
from laminar.text.hf.questions import Question, QuestionFields
from laminar.text.hf.spans import Answer
from laminar.text.hf.splitters import hf_layer_splitter, hf_splitter
from laminar.text.hf.tables import HFRowsOptions
from laminar.text.hf.task_data import HFLanguageDataLoaders, HFQuestionDataLoaders, HFWritingDataLoaders
from laminar.text.hf.tasks import HFTask, SequenceClassification, register_task
from laminar.text.hf.text_scores import ChrF, SacreBLEU, TextScore, WriteTexts
from laminar.text.hf.token_classification import TokenCategoryBlock, TokenClassification, TokenTags, WordTags
from laminar.text.hf.token_loss import TokenCrossEntropyLoss
from laminar.text.hf.tokenizer import HFTokenizer
from laminar.text.hf.tokenizing import HFPad, HFTextDL, HFTokenize, TextFields
from laminar.text.hf.writing import HFWritingLearner, HFWrittenBlock, SequenceToSequence

__all__ = [
    "AddPrefix", "Answer", "AnswerF1", "AnswerSpanLoss", "CausalLanguageModel", "ChrF", "EntityF1", "EntityPrecision",
    "EntityRecall", "ExactMatch", "Filled", "HFAnswerLearner", "HFBlockDL", "HFCausalLearner", "HFDataLoaders",
    "HFFolderOptions", "HFLanguageBlock", "HFLanguageDataLoaders", "HFLearner", "HFMaskedLearner", "HFModel", "HFPad",
    "HFQuestionBlock", "HFQuestionDL", "HFQuestionDataLoaders", "HFRowsOptions", "HFTask", "HFTextBlock", "HFTextDL",
    "HFTokenize", "HFTokenizer", "HFWritingDataLoaders", "HFWritingLearner", "HFWrittenBlock", "MaskedLanguageModel",
    "OwnLoss", "Question", "QuestionAnswering", "QuestionFields", "SacreBLEU", "SequenceClassification",
    "SequenceToSequence", "TextFields", "TextScore", "TokenAccuracy", "TokenCategoryBlock", "TokenClassification",
    "TokenCrossEntropyLoss", "TokenTags", "TokenizedText", "WordTags", "Words", "WriteTexts", "entities_of",
    "hf_layer_splitter", "hf_learner", "hf_splitter", "register_task",
]  # fmt: skip
