"""Language models of transformers: causal ones that write on, masked ones that fill in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from laminar.core.errors import ConfigError, DataError
from laminar.nn.calling import call_model, evaluating
from laminar.nn.losses import LossFunction
from laminar.text.hf.base_learner import HFLearner
from laminar.text.hf.generating import sampling_options, write_on
from laminar.text.hf.packing import MaskedTokens, NextTokens, mask_token
from laminar.text.hf.tasks import HFTask, register_task
from laminar.text.hf.token_loss import TokenCrossEntropyLoss

__all__ = [
    "CausalLanguageModel",
    "Filled",
    "HFCausalLearner",
    "HFMaskedLearner",
    "MaskedLanguageModel",
]


class HFCausalLearner(HFLearner):
    """A learner whose model says what comes next; it can write."""

    def generate(
        self, texts: str | Sequence[str], max_new_tokens: int = 64, *, seed: int | None = None, **options: Any
    ) -> Any:
        """What the model writes after a text, or after each of several, which are read together.

        Without options it takes the likeliest token each time.

        Args:
            texts: how the text begins, or several.
            max_new_tokens: how many tokens to write at most.
            seed: the same text for the same seed; None draws from torch's generator, which `set_seed` sets.
            **options: for transformers' ``generate``: ``do_sample``, ``num_beams``, ``repetition_penalty``, ...

        Returns:
            What was written, without how the text began; a list for several.
        """
        self.model.to(self.device)
        several = [texts] if isinstance(texts, str) else list(texts)
        options = {"do_sample": False, **options}
        written = write_on(
            self.network, self._hf_tokenizer, several, self.device, seed=seed, max_new_tokens=max_new_tokens, **options
        )
        return written[0] if isinstance(texts, str) else written

    def predict(  # type: ignore[override]  # of a language model one asks for words, as users of fastai do
        self,
        text: str,
        n_words: int = 1,
        temperature: float = 1.0,
        min_p: float | None = None,
        *,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        max_new_tokens: int | None = None,
    ) -> str:
        """Write on.

        Args:
            text: how the text begins.
            n_words: how many tokens to write.
            temperature: below 1 likely tokens become likelier; 0 takes the likeliest, always the same.
            min_p: leave out tokens whose probability is below this share of the likeliest's, 0 to 1.
            top_k: draw from the `top_k` likeliest tokens.
            top_p: draw from the likeliest tokens that together have this probability.
            seed: the same text for the same seed; None draws from torch's generator, which `set_seed` sets.
            max_new_tokens: `n_words` under the name that it has in transformers.

        Returns:
            The text with what was written.
        """
        count = n_words if max_new_tokens is None else max_new_tokens
        self.model.to(self.device)
        sampling = sampling_options(temperature, top_k, top_p, min_p)
        return write_on(
            self.network,
            self._hf_tokenizer,
            [text],
            self.device,
            whole=True,
            seed=seed,
            max_new_tokens=count,
            **sampling,
        )[0]


class Filled(NamedTuple):
    """What a masked model would put in a mask's place.

    Attributes:
        token: the token.
        probability: how likely it is, 0 to 1.
        text: the text with the token in place.
    """

    token: str
    probability: float
    text: str


class HFMaskedLearner(HFLearner):
    """A learner whose model finds masked tokens."""

    def predict(  # type: ignore[override]  # of a masked model one asks what belongs behind masks
        self, text: str, k: int = 5
    ) -> Any:
        """What belongs behind the mask in a text.

        Args:
            text: a text with the tokenizer's mask in it: ``f"The {learn.tokenizer.mask_token} is high."``.
            k: how many answers.

        Returns:
            The `k` likeliest answers (`Filled`), likeliest first; a list of these where there are several masks.

        Raises:
            DataError: there is no mask in the text, or it is longer than the model takes.
        """
        hf, mask = self.tokenizer, mask_token(self._hf_tokenizer)
        self.model.to(self.device)
        inputs = dict(hf(text, return_tensors="pt").to(self.device))
        places = (inputs["input_ids"][0] == mask).nonzero()[:, 0].tolist()
        if not places:
            raise DataError(f"there is nothing to fill in: {text!r} has no {hf.mask_token}.")
        with torch.no_grad(), evaluating(self.model):
            scores: Tensor = call_model(self.model, (inputs,))[0]
        parts = text.split(hf.mask_token)
        answers = []
        for number, place in enumerate(places):
            best = scores[place].float().softmax(0).topk(min(k, scores.shape[-1]))
            before, after = hf.mask_token.join(parts[: number + 1]), hf.mask_token.join(parts[number + 1 :])
            answers.append(
                [
                    Filled(token := hf.decode([index]).strip(), probability, f"{before}{token}{after}")
                    for probability, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
                ]
            )
        return answers[0] if len(answers) == 1 else answers


class CausalLanguageModel(HFTask):
    """What comes after each token?"""

    name = "causal language modelling"
    auto_class = "AutoModelForCausalLM"
    learner = HFCausalLearner

    def loss(self, dls: Any) -> LossFunction:
        """Cross entropy of each token's successor."""
        return TokenCrossEntropyLoss()

    def check(self, model: Any, dls: Any) -> None:
        """Refuse a model that sees what comes next."""
        if model.config.is_encoder_decoder or type(model).__name__.endswith("ForMaskedLM"):
            raise ConfigError(
                f"{type(model).__name__} is no causal language model. For one that fills in masks: masked=True; for one"
                " that turns a text into another: a block for each."
            )


class MaskedLanguageModel(HFTask):
    """What stands behind the masks?"""

    name = "masked language modelling"
    auto_class = "AutoModelForMaskedLM"
    learner = HFMaskedLearner

    def loss(self, dls: Any) -> LossFunction:
        """Cross entropy of masked tokens."""
        return TokenCrossEntropyLoss()

    def check(self, model: Any, dls: Any) -> None:
        """Refuse a model that does not see what comes behind a mask."""
        if type(model).__name__.endswith(("ForCausalLM", "LMHeadModel")):
            raise ConfigError(
                f"{type(model).__name__} is a causal language model and does not see what comes behind a mask: make"
                " the data without masked=True, or take a model such as BERT."
            )


register_task(NextTokens, CausalLanguageModel)
register_task(MaskedTokens, MaskedLanguageModel)
