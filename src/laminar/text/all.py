"""Everything a notebook about texts wants: ``from laminar.text.all import *``.

`laminar.basics` and laminar's public names about texts.
"""

from laminar import basics
from laminar.basics import *  # noqa: F403  # a list written by hand, handed on whole
from laminar.text import (
    AWD_LSTM,
    AWD_QRNN,
    BOS,
    EOS,
    FLD,
    PAD,
    QRNN,
    SPECIAL_TOKENS,
    TK_MAJ,
    TK_REP,
    TK_UP,
    TK_WREP,
    UNK,
    EmbeddingDropout,
    LinearDecoder,
    PoolingLinearClassifier,
    QRNNLayer,
    RNNDropout,
    SamplingOptions,
    SentenceEncoder,
    SequentialRNN,
    TextEncoder,
    TextTransformer,
    WeightDropout,
    awd_lstm_clas_config,
    awd_lstm_clas_split,
    awd_lstm_lm_config,
    awd_lstm_lm_split,
    awd_qrnn_clas_config,
    awd_qrnn_lm_config,
    dropout_mask,
    generate,
    get_language_model,
    get_text_classifier,
    linear_recurrence,
    masked_concat_pool,
    match_embeds,
    sample_next,
    transformer_clas_config,
    transformer_lm_config,
)

__all__ = [
    "AWD_LSTM", "AWD_QRNN", "BOS", "EOS", "EmbeddingDropout", "FLD", "LinearDecoder", "PAD",
    "PoolingLinearClassifier", "QRNN", "QRNNLayer", "RNNDropout", "SPECIAL_TOKENS", "SamplingOptions",
    "SentenceEncoder", "SequentialRNN", "TK_MAJ", "TK_REP", "TK_UP", "TK_WREP", "TextEncoder", "TextTransformer",
    "UNK", "WeightDropout", "awd_lstm_clas_config", "awd_lstm_clas_split", "awd_lstm_lm_config", "awd_lstm_lm_split",
    "awd_qrnn_clas_config", "awd_qrnn_lm_config", "dropout_mask", "generate", "get_language_model",
    "get_text_classifier", "linear_recurrence", "masked_concat_pool", "match_embeds", "sample_next",
    "transformer_clas_config", "transformer_lm_config",
]  # fmt: skip
__all__ += basics.__all__
