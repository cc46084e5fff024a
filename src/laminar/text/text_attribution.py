"""`TextAttribution`: how much each token of a text adds to an output, as it is shown."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from laminar.core.errors import ConfigError

__all__ = ["TextAttribution", "output_asked"]

_FOR, _AGAINST = "34, 139, 34", "205, 50, 50"  # red, green, blue


@dataclass(frozen=True, repr=False)
class TextAttribution:
    """A text's tokens, with what each adds to a prediction: shown in colours in a notebook, as a list when printed.

    Attributes:
        tokens: the text's, as the model reads them.
        scores: what each adds to the raw output (logit) for `label`; negative ones speak against it.
        label: the class (or the number of the output) asked about.
        output: the raw output for it.
    """

    tokens: list[str]
    scores: list[float]
    label: str
    output: float

    def __str__(self) -> str:
        width = max(map(len, self.tokens), default=0)
        largest = max(map(abs, self.scores), default=0.0) or 1.0
        rows = [
            f"{token:<{width}} {score:+.2e} {('+' if score > 0 else '-') * round(10 * abs(score) / largest)}".rstrip()
            for token, score in zip(self.tokens, self.scores, strict=True)
        ]
        return "\n".join([f"{self.label} ({self.output:+.3f})", *rows])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        largest = max(map(abs, self.scores), default=0.0) or 1.0
        words = [
            f'<span title="{score:+.2e}" style="background: rgba({_FOR if score > 0 else _AGAINST},'
            f' {0.7 * abs(score) / largest:.3f}); padding: 1px 3px; border-radius: 3px">{html.escape(token)}</span>'
            for token, score in zip(self.tokens, self.scores, strict=True)
        ]
        title = f"<b>{html.escape(self.label)}</b> ({self.output:+.3f}): green speaks for it, red against"
        return f'<div>{title}<p style="line-height: 1.8">{" ".join(words)}</p></div>'


def output_asked(names: Sequence[str], outputs: Tensor, target: str | int | None) -> tuple[int, str]:
    """The number of the output asked about, and what it is called.

    Args:
        names: what outputs are called.
        outputs: of one text, ``[outputs]``.
        target: a name or a number; None for the largest output.

    Raises:
        ConfigError: there is no such output, or the model is no classifier.
    """
    if outputs.ndim != 1:
        raise ConfigError(f"the model gives outputs of shape {tuple(outputs.shape)} for a text: no classifier.")
    if isinstance(target, str):
        if target not in names:
            raise ConfigError(f"there is no class {target!r}; there are {', '.join(names) or 'none with names'}.")
        target = names.index(target)
    number = int(outputs.argmax()) if target is None else target
    if not 0 <= number < len(outputs):
        raise ConfigError(f"there is no output {number}: the model has {len(outputs)}, counted from 0.")
    return number, names[number] if number < len(names) else f"output {number}"
