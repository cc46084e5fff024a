"""How noisy gradients are: which batch size is worth its cost."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from laminar.callbacks.base import Callback
from laminar.core.device import find_bs
from laminar.core.errors import ConfigError
from laminar.metrics.smoothing import MovingAverage

__all__ = ["GradientNoiseScale"]


class GradientNoiseScale(Callback):
    """Estimates the gradient noise scale: batches much smaller than it waste steps, much larger ones waste samples
    (McCandlish et al., "An empirical model of large-batch training", 2018).

    It compares the norms of the gradients of several steps with the norm of their mean, as if the weights stood still
    meanwhile. One more copy of the gradients is held; nothing is read from the device before somebody looks.

    Args:
        n_steps: steps to average over for one estimate.
        beta: smoothing over estimates, 0 to below 1.

    Raises:
        ConfigError: fewer than two steps.
    """

    order = 7  # the gradients of the loss, before they are clipped
    run_valid = False
    passes = ("fit",)

    def __init__(self, n_steps: int = 8, beta: float = 0.9) -> None:
        if n_steps < 2:
            raise ConfigError(f"GradientNoiseScale(n_steps={n_steps}): it takes two steps to compare.")
        self.n_steps, self.beta = n_steps, beta
        self._forget()

    def _forget(self) -> None:
        self._pairs: list[Tensor] = []
        self._begin()

    def _begin(self) -> None:
        self._sizes: list[int] = []
        self._norms: list[Tensor] = []
        self._sums: list[Tensor] = []
        self._samples = 0

    def before_fit(self) -> None:
        """Begin anew."""
        self._forget()

    def after_backward(self) -> None:
        """Count the samples that make the gradient."""
        self._samples += find_bs(self.yb or self.xb)

    def before_step(self) -> None:
        """Take the gradient in."""
        parameters = [p for group in self.opt.param_groups for p in group["params"] if p.requires_grad]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        size, self._samples = self._samples, 0
        self._sizes.append(size)
        self._norms.append(_square(gradients))
        if self._sums:
            torch._foreach_add_(self._sums, gradients, alpha=size)
        else:
            self._sums = list(torch._foreach_mul(gradients, size))
        if len(self._sizes) == self.n_steps:
            self._estimate()

    def _estimate(self) -> None:
        """Noise and signal: the squared norm of a batch's gradient is signal + noise / size, on average."""
        total = sum(self._sizes)
        large = _square(self._sums) / total**2
        small = torch.stack(self._norms).mean()
        inverse = sum(1 / size for size in self._sizes) / len(self._sizes)
        noise = (small - large) / (inverse - 1 / total)
        self._pairs.append(torch.stack([noise, large - noise / total]))
        self._begin()

    def cleanup_fit(self) -> None:
        """Let go of the gradients."""
        self._begin()

    @property
    def values(self) -> list[float]:
        """The estimates so far, smoothed, in samples: one for every `n_steps` steps."""
        noise, signal = MovingAverage(self.beta), MovingAverage(self.beta)
        pairs: Any = torch.stack(self._pairs).tolist() if self._pairs else []
        found = [(noise.add(a), signal.add(b)) for a, b in pairs]
        return [a / b if b > 0 else float("inf") for a, b in found]

    @property
    def noise_scale(self) -> float | None:
        """The last estimate, in samples; infinite where no signal could be seen, None before the first."""
        values = self.values
        return values[-1] if values else None

    def state_dict(self) -> dict[str, Any]:
        """The estimates so far, and what the next one has of its steps."""
        window = {name: getattr(self, name) for name in ("_sizes", "_norms", "_sums", "_samples")}
        return {"pairs": [pair.tolist() for pair in self._pairs], **window}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with estimates."""
        self._pairs = [torch.tensor(pair) for pair in state["pairs"]]
        self._sizes, self._samples = list(state["_sizes"]), state["_samples"]
        self._norms, self._sums = list(state["_norms"]), [tensor.clone() for tensor in state["_sums"]]


def _square(tensors: list[Tensor]) -> Tensor:
    """The squared norm of all together."""
    return torch.stack(torch._foreach_norm(tensors)).square().sum()
