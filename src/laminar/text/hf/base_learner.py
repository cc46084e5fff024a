"""`HFLearner`: a learner whose model is one of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from laminar.core.errors import ConfigError
from laminar.learner.learner import Learner
from laminar.text.hf.model import HFModel
from laminar.text.hf.tokenizer import HFTokenizer
from laminar.text.hf.tokenizing import HFTokenize, tokenize_of

__all__ = ["HFLearner", "tokenize_in"]


class HFLearner(Learner):
    """A learner whose model is one of transformers: ``learn.model.hf_model``."""

    @property
    def hf_model(self) -> Any:
        """The model of transformers (or of peft)."""
        return self.model.hf_model

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of transformers that makes the model's inputs."""
        return self._hf_tokenizer.hf

    @property
    def network(self) -> HFModel:
        """The model as laminar calls it."""
        assert isinstance(self.model, HFModel), "hf_learner made it"
        return self.model

    @property
    def _hf_tokenizer(self) -> HFTokenizer:
        return tokenize_in(self.dls).tokenizer

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write model and tokenizer in transformers' own format, for ``from_pretrained``.

        Of a model with adapters (peft) only these are written, with their configuration.

        Args:
            folder: where, below the learner's path.

        Returns:
            Where it is.
        """
        path = self.path / folder
        options = {"save_embedding_layers": False} if hasattr(self.hf_model, "peft_config") else {}
        self.hf_model.save_pretrained(path, **options)
        self.tokenizer.save_pretrained(path)
        return path


def tokenize_in(dls: Any) -> HFTokenize:
    """What tokenizes the texts of some loaders.

    Raises:
        ConfigError: nothing does so for a model of transformers.
    """
    found = tokenize_of(dls.train)
    if found is None:
        raise ConfigError(
            "the data are not tokenized for a model of transformers. Make them with HFDataLoaders, or with a DataBlock"
            " that has an HFTextBlock(tokenizer)."
        )
    return found
