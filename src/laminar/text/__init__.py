"""Texts: tokenizing, numbering, loading, learning; `laminar.text.all` is what notebooks import."""

from laminar.text.attribution import (
    TextAttribution,
    token_attributions,
)
from laminar.text.blocks import (
    TextBlock,
    TextBlockOptions,
    VocabOptions,
)
from laminar.text.columns import (
    JoinColumns,
    TextColumns,
)
from laminar.text.corpora import (
    load_tokenized_csv,
    tokenize_csv,
    tokenize_df,
    tokenize_files,
    tokenize_folder,
    tokenize_texts,
)
from laminar.text.data import (
    TextDataLoaders,
    TextLoadersOptions,
    TextTableOptions,
)
from laminar.text.ensemble import (
    ensemble_preds,
)
from laminar.text.generation import (
    SamplingOptions,
    generate,
    sample_next,
)
from laminar.text.learner import (
    TextLearnerOptions,
    language_model_learner,
    text_classifier_learner,
)
from laminar.text.lm_loader import (
    LMDataLoader,
    SortedTextDL,
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
from laminar.text.numericalize import (
    Numericalize,
    make_vocab,
)
from laminar.text.padding import (
    Pad_Chunk,
    Pad_Input,
    pad_chunk,
    pad_input,
    pad_input_chunk,
    reverse_text,
)
from laminar.text.pretrained import (
    match_embeds,
)
from laminar.text.rules import (
    apply_rules,
    decode_spec_tokens,
    default_post_rules,
    default_rules,
    fix_html,
    lowercase,
    replace_all_caps,
    replace_maj,
    replace_rep,
    replace_space,
    replace_wrep,
    rm_useless_spaces,
    spec_add_spaces,
)
from laminar.text.showing import (
    TextTable,
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
from laminar.text.subwords import (
    PretrainedTokenizer,
    SubwordTokenizer,
)
from laminar.text.text_learner import (
    LMLearner,
    TextLearner,
    text_vocab,
)
from laminar.text.tokenizer import (
    Tokenizer,
    TokenizerOptions,
)
from laminar.text.tokenizing import (
    TokenizeWithRules,
    read_text,
)
from laminar.text.tokens import (
    Tokens,
    TokenStore,
)
from laminar.text.words import (
    BaseTokenizer,
    SpacyTokenizer,
    WordTokenizer,
)

__all__ = [
    "tokenize_df",
    "tokenize_csv",
    "tokenize_files",
    "tokenize_folder",
    "load_tokenized_csv",
    "tokenize_texts",
    "PretrainedTokenizer",
    "SubwordTokenizer",
    "AWD_LSTM",
    "AWD_QRNN",
    "BOS",
    "BaseTokenizer",
    "EOS",
    "EmbeddingDropout",
    "FLD",
    "JoinColumns",
    "LMDataLoader",
    "LMLearner",
    "LinearDecoder",
    "Numericalize",
    "PAD",
    "Pad_Chunk",
    "Pad_Input",
    "PoolingLinearClassifier",
    "QRNN",
    "QRNNLayer",
    "RNNDropout",
    "SPECIAL_TOKENS",
    "SamplingOptions",
    "SentenceEncoder",
    "SequentialRNN",
    "SortedTextDL",
    "SpacyTokenizer",
    "TK_MAJ",
    "TK_REP",
    "TK_UP",
    "TK_WREP",
    "TextAttribution",
    "TextBlock",
    "TextBlockOptions",
    "TextColumns",
    "TextDataLoaders",
    "TextEncoder",
    "TextLearner",
    "TextLearnerOptions",
    "TextLoadersOptions",
    "TextTable",
    "TextTableOptions",
    "TextTransformer",
    "TokenStore",
    "TokenizeWithRules",
    "Tokenizer",
    "TokenizerOptions",
    "Tokens",
    "UNK",
    "VocabOptions",
    "WeightDropout",
    "WordTokenizer",
    "apply_rules",
    "awd_lstm_clas_config",
    "awd_lstm_clas_split",
    "awd_lstm_lm_config",
    "awd_lstm_lm_split",
    "awd_qrnn_clas_config",
    "awd_qrnn_lm_config",
    "decode_spec_tokens",
    "default_post_rules",
    "default_rules",
    "dropout_mask",
    "ensemble_preds",
    "fix_html",
    "generate",
    "get_language_model",
    "get_text_classifier",
    "language_model_learner",
    "linear_recurrence",
    "lowercase",
    "make_vocab",
    "masked_concat_pool",
    "match_embeds",
    "pad_chunk",
    "pad_input",
    "pad_input_chunk",
    "read_text",
    "replace_all_caps",
    "replace_maj",
    "replace_rep",
    "replace_space",
    "replace_wrep",
    "reverse_text",
    "rm_useless_spaces",
    "sample_next",
    "spec_add_spaces",
    "text_classifier_learner",
    "text_vocab",
    "token_attributions",
    "transformer_clas_config",
    "transformer_lm_config",
]
