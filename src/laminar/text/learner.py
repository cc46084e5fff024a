"""Learners for texts: language models, and classifiers that begin with what a language model has learnt (Howard and
Ruder, "Universal language model fine-tuning for text classification", 2018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, Unpack

from laminar.core.errors import ConfigError, check_keywords
from laminar.core.recipe import builder
from laminar.learner.learner import LearnerOptions
from laminar.learner.losses_for import known_loss
from laminar.nn.losses import CrossEntropyLossFlat
from laminar.text.lm_loader import LMDataLoader, SortedTextDL
from laminar.text.models.archs import TextArch, arch_recipe, text_arch
from laminar.text.models.classifier import get_text_classifier
from laminar.text.models.encoder import SequentialRNN, awd_lstm_clas_split, awd_lstm_lm_split
from laminar.text.models.language_model import get_language_model
from laminar.text.text_learner import LMLearner, TextLearner, text_vocab, texts_of

__all__ = [
    "TextLearnerOptions",
    "language_model_learner",
    "language_model_network",
    "text_classifier_learner",
    "text_classifier_network",
]

Weights = str | Path | Sequence[str | Path] | None
L = TypeVar("L", bound=TextLearner)


class TextLearnerOptions(LearnerOptions, total=False):
    """The keyword arguments of `TextLearner` that application functions pass on."""

    alpha: float | None
    beta: float | None


def _with_pad(config: dict[str, Any], dls: Any) -> dict[str, Any]:
    """Arguments in which the word that pads is that of the data."""
    number = texts_of(dls).fitted("pad_idx")
    return {**config, "pad_token": number} if number is not None and "pad_token" in config else config


@builder
def language_model_network(
    arch: TextArch, vocab_sz: int, config: Mapping[str, Any] | None = None, drop_mult: float = 1.0
) -> SequentialRNN:
    """The network of `language_model_learner`: what an export asks for (see `get_language_model`).

    Args:
        arch: the architecture.
        vocab_sz: words.
        config: see `get_language_model`.
        drop_mult: see `get_language_model`.
    """
    return get_language_model(arch, vocab_sz, config, drop_mult)


@builder
def text_classifier_network(
    arch: TextArch,
    vocab_sz: int,
    n_class: int,
    seq_len: int,
    config: Mapping[str, Any] | None = None,
    drop_mult: float = 1.0,
    lin_ftrs: Sequence[int] | None = None,
    ps: Sequence[float] | float | None = None,
    pad_idx: int = 1,
    max_len: int | None = 72 * 20,
    y_range: tuple[float, float] | None = None,
) -> SequentialRNN:
    """The network of `text_classifier_learner`: what an export asks for (see `get_text_classifier`, as for all
    arguments).

    Args:
        arch: the architecture.
        vocab_sz: words.
        n_class: outputs.
        seq_len: words that are read at once.
        config: arguments of the architecture.
        drop_mult: factor for all dropouts.
        lin_ftrs: features of the hidden layers.
        ps: dropouts of the head.
        pad_idx: number of the word that pads.
        max_len: words at the end of a text that are used.
        y_range: bounds of the outputs.
    """
    return get_text_classifier(
        arch, vocab_sz, n_class, seq_len, config, drop_mult, lin_ftrs, ps, pad_idx, max_len, y_range
    )


# What a loaded learner is, and with which parameter groups it goes on training.
language_model_network.learner = LMLearner  # type: ignore[attr-defined]
language_model_network.splitter = awd_lstm_lm_split  # type: ignore[attr-defined]
text_classifier_network.learner = TextLearner  # type: ignore[attr-defined]
text_classifier_network.splitter = awd_lstm_clas_split  # type: ignore[attr-defined]


def language_model_learner(
    dls: Any,
    arch: TextArch,
    config: Mapping[str, Any] | None = None,
    drop_mult: float = 1.0,
    backwards: bool = False,
    pretrained: bool | None = None,
    *,
    weights: Weights = None,
    **options: Unpack[TextLearnerOptions],
) -> LMLearner:
    """Make a learner for a language model: which word comes next?

    Args:
        dls: loaders of texts for a language model: ``TextDataLoaders.from_df(df, is_lm=True)``.
        arch: class of the encoder: `AWD_LSTM`, `AWD_QRNN`, `TextTransformer`, or one of your own.
        config: arguments in place of those in ``arch.lm_config``.
        drop_mult: factor for all dropouts.
        backwards: whether the loaders give texts backwards.
        pretrained: begin with `weights`; None does so if there are any.
        weights: of a model trained on other texts, which is fine-tuned then: a file that `save_pretrained` wrote, or
            two, weights and a JSON list of words. The words may be others.
        **options: those of `Learner` (metrics, cbs, path, ...), and `alpha` and `beta` of `TextLearner`.

    Raises:
        ConfigError: the data have no vocabulary, or `pretrained` without weights.
        TypeError: an unknown argument, with the nearest known one.
        WeightsError: no such weights, or they do not fit.

    Example::

        learn = language_model_learner(dls, AWD_LSTM, metrics=[accuracy, Perplexity()])
        learn.fit_one_cycle(1, 2e-2)
        learn.predict("Once upon a time", 20, temperature=0.75)
    """
    _check_call("language_model_learner", dls, pretrained, weights, options)
    encoder = text_arch(arch)
    full = _with_pad({**encoder.lm_config, **(config or {})}, dls)
    recipe: dict[str, Any] = {
        "arch": arch_recipe(arch),
        "vocab_sz": len(text_vocab(dls)),
        "config": full,
        "drop_mult": drop_mult,
    }
    if known_loss(dls) is None:
        options.setdefault("loss_func", CrossEntropyLossFlat())
    options.setdefault("splitter", awd_lstm_lm_split)
    learn = LMLearner(dls, language_model_network(**recipe), backwards=backwards, **options)
    learn.model_recipe = (language_model_network, recipe)
    return _begun(learn, pretrained, weights)


def text_classifier_learner(
    dls: Any,
    arch: TextArch,
    seq_len: int | None = None,
    config: Mapping[str, Any] | None = None,
    backwards: bool = False,
    pretrained: bool | None = None,
    drop_mult: float = 0.5,
    n_out: int | None = None,
    lin_ftrs: Sequence[int] | None = None,
    ps: Sequence[float] | float | None = None,
    max_len: int | None = 72 * 20,
    y_range: tuple[float, float] | None = None,
    *,
    weights: Weights = None,
    **options: Unpack[TextLearnerOptions],
) -> TextLearner:
    """Make a learner that classifies texts (or says numbers of them).

    Args:
        dls: loaders of texts with targets: ``TextDataLoaders.from_df(df)``.
        arch: class of the encoder: `AWD_LSTM`, `AWD_QRNN`, `TextTransformer`, or one of your own.
        seq_len: words that are read at once; None for 72 where the encoder remembers what came before, else `max_len`.
        config: arguments in place of those in ``arch.clas_config``.
        backwards: whether the loaders give texts backwards.
        pretrained: begin with `weights`; None does so if there are any.
        drop_mult: factor for all dropouts.
        n_out: outputs of the network; None for what the data need.
        lin_ftrs: features of the head's hidden layers, by default one of 50.
        ps: dropout before each layer of the head but the first, by default 0.1.
        max_len: words at the end of a text that are used and learnt from.
        y_range: bounds of the outputs, for quantities.
        weights: of an encoder to begin with: a file that `save_encoder` or `save_pretrained` wrote, or two, weights and
            a JSON list of words. The words may be others; with `load_encoder` they must be the same.
        **options: those of `Learner` (metrics, cbs, path, ...), and `alpha` and `beta` of `TextLearner`.

    Raises:
        ConfigError: the data have no vocabulary, or `pretrained` without weights.
        TypeError: an unknown argument, with the nearest known one.
        WeightsError: no such weights, or they do not fit.

    Example::

        learn = text_classifier_learner(dls, AWD_LSTM, metrics=accuracy).load_encoder("finetuned")
        learn.fit_one_cycle(1, 2e-2)
        learn.freeze_to(-2)
        learn.fit_one_cycle(1, slice(1e-2 / 2.6**4, 1e-2))
    """
    _check_call("text_classifier_learner", dls, pretrained, weights, options)
    encoder = text_arch(arch)
    full = _with_pad({**encoder.clas_config, **(config or {})}, dls)
    whole = max_len or _LONGEST
    recipe: dict[str, Any] = {
        "arch": arch_recipe(arch), "vocab_sz": len(text_vocab(dls)), "n_class": int(dls.c) if n_out is None else n_out,
        "seq_len": (72 if encoder.recurrent else whole) if seq_len is None else seq_len, "config": full,
        "drop_mult": drop_mult, "lin_ftrs": lin_ftrs, "ps": ps, "pad_idx": full.get("pad_token", 1),
        "max_len": max_len, "y_range": y_range,
    }  # fmt: skip
    options.setdefault("splitter", awd_lstm_clas_split)
    learn = TextLearner(dls, text_classifier_network(**recipe), backwards=backwards, **options)
    learn.model_recipe = (text_classifier_network, recipe)
    return _begun(learn, pretrained, weights)


_LONGEST = 1 << 16  # words that an encoder without memory reads at once, where nothing else is said
_OF_WORDS = (
    "of a language model, which predict the next word. Make them with targets, without is_lm=True; or use "
    "language_model_learner"
)
_OF_TARGETS = "of texts with targets. Make them of words to predict, is_lm=True; or use text_classifier_learner"
_OF_BOTH = ["dls", "arch", "config", "drop_mult", "backwards", "pretrained", "weights"]
_OF_CLASSIFIERS = ["seq_len", "n_out", "lin_ftrs", "ps", "max_len", "y_range"]


def _check_call(called: str, dls: Any, pretrained: bool | None, weights: Weights, options: Mapping[str, Any]) -> None:
    own = _OF_BOTH + (_OF_CLASSIFIERS if called == "text_classifier_learner" else [])
    check_keywords(options, [*own, *TextLearnerOptions.__annotations__], called)
    if isinstance(dls, type | str):
        raise ConfigError(f"{called} takes the loaders first, then the architecture: {called}(dls, AWD_LSTM).")
    loader = getattr(dls, "train", None)
    if isinstance(loader, LMDataLoader if called == "text_classifier_learner" else SortedTextDL):
        raise ConfigError(
            f"{called} was given loaders {_OF_WORDS if isinstance(loader, LMDataLoader) else _OF_TARGETS}."
        )
    if pretrained and weights is None:
        raise ConfigError(
            f"{called}(pretrained=True): no weights come with laminar, and none are downloaded. Train a language model"
            " on a large text, learn.save_pretrained('large'), and begin with it: weights='large'."
        )


def _begun(learn: L, pretrained: bool | None, weights: Weights) -> L:
    """The learner with the weights to begin with, if there are any and they are wanted."""
    if weights is None or pretrained is False:
        return learn
    file, words = (weights, None) if isinstance(weights, str | Path) else weights
    return learn.load_pretrained(file, words)
