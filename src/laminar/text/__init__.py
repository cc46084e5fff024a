"""Texts: tokenizing, numbering, loading, learning; `laminar.text.all` is what notebooks import."""

from laminar.text.generation import (
    SamplingOptions,
    generate,
    sample_next,
)
from laminar.text.models.awd_lstm import (
    AWD_LSTM,
    AWD_QRNN,
    awd_lstm_clas_config,
    awd_lstm_lm_config,
    awd_qrnn_clas_config,
    awd_qrnn_lm_config,
)
from laminar.text.models.classifier import (
    PoolingLinearClassifier,
    SentenceEncoder,
    get_text_classifier,
    masked_concat_pool,
)
from laminar.text.models.dropout import (
    EmbeddingDropout,
    RNNDropout,
    WeightDropout,
    dropout_mask,
)
from laminar.text.models.encoder import (
    SequentialRNN,
    TextEncoder,
    awd_lstm_clas_split,
    awd_lstm_lm_split,
)
from laminar.text.models.language_model import (
    LinearDecoder,
    get_language_model,
)
from laminar.text.models.qrnn import (
    QRNN,
    QRNNLayer,
    linear_recurrence,
)
from laminar.text.models.transformer import (
    TextTransformer,
    transformer_clas_config,
    transformer_lm_config,
)
from laminar.text.pretrained import (
    match_embeds,
)
from laminar.text.special_tokens import (
    BOS,
    EOS,
    FLD,
    PAD,
    SPECIAL_TOKENS,
    TK_MAJ,
    TK_REP,
    TK_UP,
    TK_WREP,
    UNK,
)

__all__ = [
    "AWD_LSTM",
    "AWD_QRNN",
    "BOS",
    "EOS",
    "EmbeddingDropout",
    "FLD",
    "LinearDecoder",
    "PAD",
    "PoolingLinearClassifier",
    "QRNN",
    "QRNNLayer",
    "RNNDropout",
    "SPECIAL_TOKENS",
    "SamplingOptions",
    "SentenceEncoder",
    "SequentialRNN",
    "TK_MAJ",
    "TK_REP",
    "TK_UP",
    "TK_WREP",
    "TextEncoder",
    "TextTransformer",
    "UNK",
    "WeightDropout",
    "awd_lstm_clas_config",
    "awd_lstm_clas_split",
    "awd_lstm_lm_config",
    "awd_lstm_lm_split",
    "awd_qrnn_clas_config",
    "awd_qrnn_lm_config",
    "dropout_mask",
    "generate",
    "get_language_model",
    "get_text_classifier",
    "linear_recurrence",
    "masked_concat_pool",
    "match_embeds",
    "sample_next",
    "transformer_clas_config",
    "transformer_lm_config",
]
