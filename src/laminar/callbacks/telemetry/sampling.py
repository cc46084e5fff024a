"""One sampled batch: measures are taken on the device, and brought over together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from laminar.callbacks.telemetry.measures import Measure
from laminar.callbacks.telemetry.record import Key, Layout

__all__ = ["Arriving", "Sample"]


class Sample:
    """What is measured in one batch, while it is.

    Args:
        batch: its number.
    """

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self._keys: list[Key] = []
        self._values: list[Tensor] = []
        self._calls: dict[tuple[str, str], int] = {}

    def measure(self, layer: str, of: str, tensor: Tensor, measures: Sequence[Measure], **known: Any) -> None:
        """Take measures of a tensor; nothing waits for the device.

        A layer that is called several times in a batch is measured each time: ``relu``, ``relu (call 2)``, ...; at
        most eight times.

        Args:
            layer: name of the layer.
            of: what of it the tensor is.
            tensor: floating point; narrow types are widened first.
            measures: what to take.
            **known: what measures may need besides.
        """
        calls = self._calls[layer, of] = self._calls.get((layer, of), 0) + 1
        if calls > _CALLS_AT_MOST or not tensor.numel():
            return
        name = layer if calls == 1 else f"{layer} (call {calls})"
        tensor = tensor.detach()
        with torch.no_grad(), torch.autocast(tensor.device.type, enabled=False):
            tensor = tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
            for measure in measures:
                try:
                    self._values.append(measure(tensor, **known))
                except Exception as error:
                    error.add_note(f"in the statistic {measure.name} of {of} of {name}, {tuple(tensor.shape)}")
                    raise
                self._keys.append((name, of, measure.name))

    def send(self) -> Arriving | None:
        """Begin to bring everything over, in one transfer; None if nothing was measured."""
        if not self._values:
            return None
        layout = Layout(tuple(self._keys), tuple(value.numel() for value in self._values))
        device = self._values[0].device
        joined = torch.cat([value.to(device) for value in self._values])
        return Arriving(self.batch, layout, joined)


class Arriving:
    """The values of a sample on their way to the CPU; on CUDA the device goes on meanwhile.

    Args:
        batch: number of the batch.
        layout: what the values are of.
        values: on the device.
    """

    def __init__(self, batch: int, layout: Layout, values: Tensor) -> None:
        self.batch, self.layout = batch, layout
        self._sent: Any = None
        if values.device.type == "cuda":
            self._values = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self._values.copy_(values, non_blocking=True)
            self._sent = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch's
            self._sent.record()
        else:
            self._values = values

    def values(self) -> Tensor:
        """The values, on the CPU; waits until they are there."""
        if self._sent is not None:
            self._sent.synchronize()
            return self._values.clone()  # pinned memory is for passing through
        return self._values.cpu()


_CALLS_AT_MOST = 8
