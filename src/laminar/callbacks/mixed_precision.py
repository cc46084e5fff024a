"""Mixed precision: the model computes in float16 or bfloat16 where that is safe, weights stay float32."""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from functools import partial
from typing import Any, TypedDict, Unpack

import torch
from torch import Tensor
from torch.optim import Optimizer

from laminar.callbacks.base import Callback
from laminar.core.choices import Choice
from laminar.core.device import apply
from laminar.core.errors import ConfigError, check_keywords, suggest

__all__ = ["AMPMode", "CountingScaler", "MixedPrecision", "ScalerOptions"]


class AMPMode(Choice):
    """The two kinds of half precision."""

    FP16 = "fp16"
    BF16 = "bf16"


class ScalerOptions(TypedDict, total=False):
    """Options of ``torch.amp.GradScaler``."""

    init_scale: float
    growth_factor: float
    backoff_factor: float
    growth_interval: int


class CountingScaler(torch.amp.GradScaler):
    """torch's gradient scaler, which also counts the steps it skips, without waiting for the device."""

    _skipped: Tensor | float = 0.0

    def unscale_(self, optimizer: Optimizer) -> None:
        """Take the scale off the gradients, and count the step as skipped if one of them is infinite."""
        super().unscale_(optimizer)
        if self._enabled:
            found = self._per_optimizer_states[id(optimizer)]["found_inf_per_device"]
            first, *others = found.values()  # one flag for each device
            flag = first if not others else torch.stack([first, *(other.to(first.device) for other in others)]).amax(0)
            self._skipped = self._skipped + flag.clamp(max=1)

    @property
    def skipped(self) -> int:
        """Steps skipped so far because of infinite gradients."""
        return int(self._skipped)


class MixedPrecision(Callback):
    """Trains in half precision; predictions come back as float32.

    bfloat16 needs nothing else and works on CPUs too. float16 needs its loss scaled, which the loop's scaler does, and
    an accelerator: on a CPU training stays in float32, with a warning.

    Args:
        amp_mode: ``'fp16'`` or ``'bf16'``.
        scaler_options: for ``torch.amp.GradScaler``, with float16.

    Raises:
        ConfigError: another `amp_mode`.
    """

    order = 10

    def __init__(self, amp_mode: str | AMPMode = AMPMode.FP16, **scaler_options: Unpack[ScalerOptions]) -> None:
        check_keywords(scaler_options, ScalerOptions, "MixedPrecision")
        modes = [mode.value for mode in AMPMode]
        if amp_mode not in modes:
            raise ConfigError(f"amp_mode={amp_mode!r} is none of {', '.join(modes)}.{suggest(str(amp_mode), modes)}")
        self.amp_mode = AMPMode(amp_mode)
        self.scaler_options = scaler_options
        self._scaler: CountingScaler | None = None
        self._before: tuple[Any, Any] | None = None

    def before_fit(self) -> None:
        """Hand autocast and scaler to the loop."""
        kind = self.learn.device.type
        self._before = (self.learn.autocast, self.learn.scaler)
        self._scaler = None
        if self.amp_mode is AMPMode.BF16:
            self.learn.autocast = partial(torch.autocast, device_type=kind, dtype=torch.bfloat16)
        elif kind == "cpu":
            warnings.warn(
                "float16 is slow on a CPU: training stays in float32. to_bf16() works here.", UserWarning, stacklevel=2
            )
            self.learn.autocast = nullcontext
        else:
            self.learn.autocast = partial(torch.autocast, device_type=kind, dtype=torch.float16)
            self._scaler = self.learn.scaler = CountingScaler(kind, **self.scaler_options)

    def after_pred(self) -> None:
        """Bring predictions back to float32."""
        self.learn.pred = apply(_to_float32, self.learn.pred)

    def cleanup_fit(self) -> None:
        """Give the loop back what it had."""
        if self._before is not None:
            self.learn.autocast, self.learn.scaler = self._before
            self._before = None

    def state_dict(self) -> dict[str, Any]:
        """Steps skipped so far; the scaler's own state is saved with the training."""
        return {"skipped": self.skipped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting."""
        if self._scaler is not None:
            self._scaler._skipped = float(state["skipped"])

    @property
    def skipped(self) -> int:
        """Steps skipped in the last fit because gradients were infinite; always 0 with bfloat16."""
        return self._scaler.skipped if self._scaler is not None else 0


def _to_float32(part: Any) -> Any:
    half = isinstance(part, Tensor) and part.dtype in (torch.float16, torch.bfloat16)
    return part.float() if half else part
