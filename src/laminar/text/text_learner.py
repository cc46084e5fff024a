"""Learners that know the words of their texts: weights with vocabularies, and writing on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, Unpack

import torch
from torch import nn

from laminar.callbacks.rnn import rnn_cbs
from laminar.core.errors import ConfigError, WeightsError, check_keywords
from laminar.core.types import TensorText, plain
from laminar.learner.callback_list import as_list
from laminar.learner.learner import Learner, LearnerOptions
from laminar.learner.saving import find_file, fitting_weights, model_folder
from laminar.text.generation import SamplingOptions, generate
from laminar.text.models.encoder import SequentialRNN, encoder_of
from laminar.text.pretrained import TextWeights, read_text_weights, save_text_weights, vocab_difference
from laminar.text.rules import decode_spec_tokens
from laminar.text.special_tokens import BOS, PAD, UNK

__all__ = ["LMLearner", "TextLearner", "text_vocab", "texts_of"]

_PENALTIES = (2.0, 1.0)  # of recurrent networks: on large activations, on changes
_FAKE = "xxfake"
_OWN = ["dls", "model", "alpha", "beta", "backwards"]


def text_vocab(dls: Any) -> list[str]:
    """The words of the texts in some loaders.

    Raises:
        ConfigError: they have none.
    """
    vocab = getattr(dls, "vocab", None)
    if isinstance(vocab, list | tuple) and vocab and not isinstance(vocab[0], str) and isinstance(vocab[0], Sequence):
        vocab = vocab[0]
    if not isinstance(vocab, Sequence) or not vocab or not all(isinstance(word, str) for word in vocab):
        raise ConfigError(
            "the data have no vocabulary of words. Make them of texts: TextDataLoaders.from_df(...), or a DataBlock"
            " with a TextBlock."
        )
    return list(vocab)


class TextLearner(Learner):
    """A learner whose model reads texts: penalties for recurrent networks, and weights that know their words.

    Args:
        dls: loaders of texts.
        model: a language model or a classifier, of `get_language_model` or `get_text_classifier`; or a recurrent one of
            your own, with a ``reset()`` that forgets, that returns its output and, for the penalties, the activations
            before and after dropout.
        alpha: penalty on large activations (see `RNNRegularizer`); None for 2 with recurrent networks, else none.
        beta: penalty on activations that change quickly; None for 1 with recurrent networks, else none.
        backwards: whether the texts are read backwards.
        **options: see `Learner`; momentum goes from 0.8 to 0.7 and back (`moms`), unless told otherwise.
    """

    def __init__(
        self,
        dls: Any,
        model: nn.Module,
        alpha: float | None = None,
        beta: float | None = None,
        *,
        backwards: bool = False,
        **options: Unpack[LearnerOptions],
    ) -> None:
        check_keywords(options, [*_OWN, *LearnerOptions.__annotations__], type(self).__name__)
        if not callable(getattr(model, "reset", None)):
            raise ConfigError(
                f"{type(self).__name__} is for models of get_language_model and get_text_classifier, and for your own"
                f" with a reset() that forgets; got {type(model).__name__}. For any other: Learner(dls, model)."
            )
        usual = (0.0, 0.0) if isinstance(model, SequentialRNN) and not encoder_of(model).recurrent else _PENALTIES
        penalties = rnn_cbs(usual[0] if alpha is None else alpha, usual[1] if beta is None else beta)
        self.backwards = backwards
        options["cbs"] = [*penalties, *as_list(options.get("cbs"))]
        options.setdefault("moms", (0.8, 0.7, 0.8))
        super().__init__(dls, model, **options)

    def save_encoder(self, file: str | Path) -> Path:
        """Write the encoder and its vocabulary to ``path/model_dir/file.safetensors``.

        Args:
            file: name of the file.

        Returns:
            Where it is.
        """
        state = encoder_of(self._text_model).state_dict()
        return save_text_weights(self._file(file), state, text_vocab(self.dls), self.backwards)

    def load_encoder(
        self, file: str | Path, device: torch.device | str | None = None, *, match_vocab: bool = False
    ) -> Self:
        """Read an encoder that `save_encoder` wrote, and freeze all but the last parameter group.

        Args:
            file: name of the file, with or without ending.
            device: move the model there; where it is, by default.
            match_vocab: where the words are others, give each word its weights, and new ones the mean of all.

        Raises:
            WeightsError: no such file, or it does not fit: other words (the message says how many), another
                architecture (it names the layers), or texts read the other way.
        """
        path = find_file(model_folder(self.path, self.model_dir), file)
        weights = read_text_weights(path).of_encoder()
        ours = text_vocab(self.dls)
        if weights.vocab is not None and weights.vocab != ours and not match_vocab:
            raise WeightsError(
                f"{vocab_difference(path, weights.vocab, ours)} Give the data the vocabulary it was trained with"
                " (text_vocab=dls_lm.vocab), or let each word take its own weights: load_encoder(...,"
                " match_vocab=True)."
            )
        self._check_direction(weights)
        if device is not None:
            self.model.to(torch.device(device))
        encoder = encoder_of(self._text_model)
        encoder.load_state_dict(fitting_weights(weights.for_vocab(ours).state, encoder, path))
        return self.freeze()

    def save_pretrained(self, file: str | Path) -> Path:
        """Write the whole model and its vocabulary to ``path/model_dir/file.safetensors``, to be fine-tuned on texts
        with other words: ``language_model_learner(dls, AWD_LSTM, weights=file)``.

        Args:
            file: name of the file.

        Returns:
            Where it is.
        """
        return save_text_weights(self._file(file), self.model.state_dict(), text_vocab(self.dls), self.backwards)

    def load_pretrained(self, wgts_fname: str | Path, vocab_fname: str | Path | None = None) -> Self:
        """Read a model that was trained on other texts, and freeze all but the last parameter group.

        Each word takes its weights, new words the mean of all. A classifier takes the encoder alone; so does a language
        model, if the file has no more (a decoder that is tied to the embedding comes with it).

        Args:
            wgts_fname: a file that `save_pretrained` or `save_encoder` wrote, or one of fastai's (``.pth``).
            vocab_fname: JSON list of the words, where the weights come without.

        Raises:
            WeightsError: no such file, or it does not fit.
        """
        path = find_file(model_folder(self.path, self.model_dir), wgts_fname)
        words = None if vocab_fname is None else self.path / self.model_dir / vocab_fname
        weights = read_text_weights(path, words)
        ours = text_vocab(self.dls)
        if weights.vocab is None:
            raise WeightsError(
                f"{path.name} does not say which words its rows stand for: give the list, as JSON, too:"
                " weights=(weights, 'vocab.json')."
            )
        self._check_direction(weights)
        matched = weights.for_vocab(ours)
        target, matched = self._wanted_part(matched)
        target.load_state_dict(fitting_weights(matched.state, target, path))
        return self.freeze()

    def _wanted_part(self, weights: TextWeights) -> tuple[nn.Module, TextWeights]:
        """What of the model these weights are for, and those of them that are for it."""
        return encoder_of(self._text_model), weights.of_encoder()

    @property
    def _text_model(self) -> SequentialRNN:
        if not isinstance(self.model, SequentialRNN):
            raise ConfigError(
                f"{type(self.model).__name__} has no encoder that could be taken out: only models of get_language_model"
                " and get_text_classifier have. learn.save and learn.load take whole models."
            )
        return self.model

    def _file(self, file: str | Path) -> Path:
        return model_folder(self.path, self.model_dir) / file

    def _check_direction(self, weights: TextWeights) -> None:
        if weights.backwards is not None and weights.backwards != self.backwards:
            said = ("forwards", "backwards")
            raise WeightsError(
                f"{weights.source.name} was trained on texts read {said[weights.backwards]}, this learner reads"
                f" {said[self.backwards]}: make loaders and learner with backwards={weights.backwards}."
            )


class LMLearner(TextLearner):
    """A learner whose model is a language model; it can write."""

    def _wanted_part(self, weights: TextWeights) -> tuple[nn.Module, TextWeights]:
        whole = any(name.startswith("1.") for name in weights.state)
        return (self.model, weights) if whole else super()._wanted_part(weights)

    def predict(  # type: ignore[override]  # of a language model one asks for words, as users of fastai do
        self,
        text: str,
        n_words: int = 1,
        no_unk: bool = True,
        temperature: float = 1.0,
        min_p: float | None = None,
        *,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        decoder: Callable[[list[str]], Sequence[str]] | None = decode_spec_tokens,
    ) -> str:
        """Write on.

        Args:
            text: how the text begins.
            n_words: how many words (tokens) to write.
            no_unk: never write the word for unknown words.
            temperature: below 1 likely words become likelier; 0 writes the likeliest, always the same.
            min_p: leave out words of a smaller probability, 0 to 1.
            top_k: draw from the `top_k` likeliest words.
            top_p: draw from the likeliest words that together have this probability.
            seed: the same words for the same seed; None draws from torch's generator, which `set_seed` sets.
            decoder: makes words of tokens: by default the marks for capitals and repetitions are put into effect; None
                leaves tokens as they are.

        Returns:
            The text with what was written.
        """
        vocab = text_vocab(self.dls)
        unwanted = {PAD, _FAKE, UNK} if no_unk else {PAD, _FAKE}
        banned = [number for number, word in enumerate(vocab) if word in unwanted]
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        sampling: SamplingOptions = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}
        texts = texts_of(self.dls)
        prompt = plain(texts.test_set([text])[0]).to(self.device)
        self.model.to(self.device)
        written = generate(self.model, prompt, n_words, banned=banned, generator=generator, **sampling)
        whole = torch.cat([prompt.cpu(), torch.tensor(written, dtype=prompt.dtype)])
        decoded = str(texts.tfms.decode(TensorText(whole.flip(0) if self.backwards else whole)))
        tokens = [token for token in decoded.split(" ") if token != BOS]
        return " ".join(tokens if decoder is None else decoder(tokens))


def texts_of(dls: Any) -> Any:
    """The list of texts (the first member of the data set) of some loaders."""
    dataset = (dls.valid if len(dls) > 1 else dls.train).dataset
    return getattr(dataset, "tls", [dataset])[0]
