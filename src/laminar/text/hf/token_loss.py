"""`TokenCrossEntropyLoss`: the loss of targets for each token, over texts of several lengths."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from laminar.nn.losses import CrossEntropyLossFlat

__all__ = ["TokenCrossEntropyLoss"]


class TokenCrossEntropyLoss(CrossEntropyLossFlat):
    """Mean of the cross entropies of all tokens of a batch that have a target, as models of transformers compute it.

    That of a single text (``reduction="none"``) is the mean over its own tokens, however far the batch was lengthened;
    and batches whose gradients are accumulated count by their tokens, as if they had come in one.
    """

    def forward(self, inp: Tensor, targ: Tensor) -> Tensor:
        """Compare outputs with targets.

        Args:
            inp: logits, ``[batch, length, classes]``.
            targ: class indices, ``[batch, length]``; -100 where nothing is to be said.
        """
        losses = super().forward(inp, targ)
        if self.reduction != "none":
            return losses
        return losses.reshape(targ.shape).sum(1) / self.mean_weights(targ).clamp(min=1e-12)

    def mean_weights(self, targ: Tensor) -> Tensor:
        """How much each text counts in a mean, ``[batch]``: as many tokens as have a target, or these by their weights.

        Args:
            targ: class indices, ``[batch, length]``.
        """
        counted = targ != self.ignore_index
        each = counted.float() if self.weight is None else self.weight[targ.where(counted, 0)] * counted
        return each.sum(1)

    def activation(self, out: Any) -> Any:
        """Probabilities; of texts of several lengths, a list."""
        return [self.activation(one) for one in out] if isinstance(out, list) else super().activation(out)

    def decodes(self, out: Any) -> Any:
        """The likeliest class of each token; of texts of several lengths, a list."""
        return [self.decodes(one) for one in out] if isinstance(out, list) else super().decodes(out)
