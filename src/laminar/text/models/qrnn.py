"""Quasi-recurrent networks: what depends on the text so far is one addition and one product for each word, the rest
is done for all words at once (Bradbury et al., "Quasi-recurrent neural networks", 2016).
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from laminar.core.errors import ConfigError

__all__ = ["QRNN", "QRNNLayer", "linear_recurrence"]

QRNNState = tuple[Tensor, Tensor]


def linear_recurrence(keep: Tensor, new: Tensor, first: Tensor, block: int | None = None) -> Tensor:
    """Compute ``state[t] = keep[t] * state[t - 1] + new[t]`` for all steps.

    The steps are divided into blocks. A scan goes through all blocks at once, as if each began at zero; a second one
    hands the states on from block to block; and one product adds what each step owes to the state before its block. So
    it takes about twice the square root of the steps in place of all of them, one after the other, and little more
    arithmetic. Gradients are computed by the same scan, backwards.

    Args:
        keep: what stays of the state, ``[batch, steps, features]``, floating point.
        new: what is added to it, like `keep`.
        first: the state before, ``[batch, features]``.
        block: steps in a block; None takes about the square root of the steps on accelerators, where each operation
            costs a launch, and all of them on CPUs, where each costs its numbers.

    Returns:
        The states, like `keep`.
    """
    return _LinearRecurrence.apply(keep, new, first, block)  # type: ignore[no-any-return]  # a tensor


class _LinearRecurrence(Function):
    """`linear_recurrence` with its gradients."""

    @staticmethod
    def forward(ctx: Any, keep: Tensor, new: Tensor, first: Tensor, block: int | None) -> Tensor:
        states = _scan(keep, new, first, block)
        ctx.save_for_backward(keep, states, first)
        ctx.block = block
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        keep, states, first = ctx.saved_tensors
        total = _scan_back(keep, grad, ctx.block)
        before = torch.cat([first[:, None], states[:, :-1]], 1)
        return total * before, total, total[:, 0] * keep[:, 0], None


def _scan(keep: Tensor, new: Tensor, first: Tensor, block: int | None) -> Tensor:
    steps = new.shape[1]
    block = _block_for(new) if block is None else block
    if block >= steps:
        states, last = torch.empty_like(new), first
        for step in range(steps):
            last = torch.addcmul(new[:, step], keep[:, step], last, out=states[:, step])
        return states
    return _scan_blocks(keep, new, first, block)


def _block_for(new: Tensor) -> int:
    steps = new.shape[1]
    return steps if new.device.type == "cpu" else math.ceil(math.sqrt(steps))


def _scan_blocks(keep: Tensor, new: Tensor, first: Tensor, block: int) -> Tensor:
    steps = new.shape[1]
    n_blocks = math.ceil(steps / block)
    keep, new = (
        F.pad(x, (0, 0, 0, n_blocks * block - steps)).view(-1, n_blocks, block, new.shape[2]) for x in (keep, new)
    )
    states, shares = torch.empty_like(new), torch.empty_like(keep)  # shares: what is left of the state before the block
    states[:, :, 0], shares[:, :, 0] = new[:, :, 0], keep[:, :, 0]
    for step in range(1, block):
        torch.addcmul(new[:, :, step], keep[:, :, step], states[:, :, step - 1], out=states[:, :, step])
        torch.mul(keep[:, :, step], shares[:, :, step - 1], out=shares[:, :, step])
    last = _scan(shares[:, :, -1], states[:, :, -1], first, n_blocks)
    before = torch.cat([first[:, None], last[:, :-1]], 1)[:, :, None]
    return torch.addcmul(states, shares, before).flatten(1, 2)[:, :steps]


def _scan_back(keep: Tensor, grad: Tensor, block: int | None) -> Tensor:
    """``total[t] = grad[t] + keep[t + 1] * total[t + 1]``: the same recurrence, from the last step to the first."""
    steps = grad.shape[1]
    block = _block_for(grad) if block is None else block
    if block < steps:
        later = F.pad(keep[:, 1:], (0, 0, 0, 1)).flip(1)
        return _scan_blocks(later, grad.flip(1), torch.zeros_like(grad[:, 0]), block).flip(1)
    total = torch.empty_like(grad)
    last = total[:, -1].copy_(grad[:, -1])
    for step in range(steps - 2, -1, -1):
        last = torch.addcmul(grad[:, step], keep[:, step + 1], last, out=total[:, step])
    return total


class QRNNLayer(nn.Module):
    """One layer: a convolution over the last words gives candidates and gates, and a forget gate mixes candidates with
    the state (fo-pooling in the paper; without output gate f-pooling).

    Args:
        input_size: features of a word.
        hidden_size: features of the state.
        window: words a candidate is made of: this one and those before it.
        output_gate: let a gate decide what of the state is shown.
        zoneout: share of features that keep their state at a step, in training.

    Raises:
        ConfigError: numbers that make no layer.
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, window: int = 1, output_gate: bool = True, zoneout: float = 0.0
    ) -> None:
        super().__init__()
        if window < 1 or not 0 <= zoneout < 1:
            raise ConfigError(f"window must be at least 1, and zoneout from 0 to below 1; got {window} and {zoneout}.")
        self.input_size, self.hidden_size, self.window = input_size, hidden_size, window
        self.output_gate, self.zoneout = output_gate, zoneout
        self.linear = nn.Linear(input_size * window, hidden_size * (3 if output_gate else 2))

    def forward(self, x: Tensor, state: QRNNState | None = None) -> tuple[Tensor, QRNNState]:
        """Read on.

        Args:
            x: ``[batch, length, input_size]``.
            state: what a call before returned; None begins anew.

        Returns:
            ``[batch, length, hidden_size]``, and the state: ``[1, batch, hidden_size]`` and the last words,
            ``[window - 1, batch, input_size]``.
        """
        if state is None:
            state = x.new_zeros(1, len(x), self.hidden_size), x.new_zeros(self.window - 1, len(x), self.input_size)
        cell, words = state
        seen = torch.cat([words.transpose(0, 1), x], 1) if self.window > 1 else x
        length = x.shape[1]
        windows = torch.cat([seen[:, i : i + length] for i in range(self.window)], -1) if self.window > 1 else x
        gates = self.linear(windows)
        # in half precision a gate near 1 would be 1, and the state would never change
        exact = gates if gates.dtype == torch.float64 else gates.float()
        candidate, forget, *output = exact.chunk(3 if self.output_gate else 2, -1)
        keep = forget.sigmoid()
        if self.zoneout and self.training:
            keep = torch.where(torch.rand_like(keep) < self.zoneout, 1.0, keep)
        states = linear_recurrence(keep, (1 - keep) * candidate.tanh(), cell[0].to(keep))
        shown = output[0].sigmoid() * states if output else states
        return shown.to(gates), (states[None, :, -1], seen[:, length:].transpose(0, 1))

    def extra_repr(self) -> str:
        """The arguments."""
        return f"window={self.window}, output_gate={self.output_gate}, zoneout={self.zoneout}"


class QRNN(nn.Module):
    """Several `QRNNLayer`s, called like torch's ``nn.LSTM(..., batch_first=True)``.

    Args:
        input_size: features of a word.
        hidden_size: features of each layer.
        n_layers: how many.
        dropout: dropout between layers, 0 to 1.
        window: words that the first layer sees at once; None for 2. The others see one.
        output_gate: see `QRNNLayer`.
        zoneout: see `QRNNLayer`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        n_layers: int = 1,
        *,
        dropout: float = 0.0,
        window: int | None = None,
        output_gate: bool = True,
        zoneout: float = 0.0,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            QRNNLayer(
                hidden_size if number else input_size,
                hidden_size,
                window=1 if number else window or 2,
                output_gate=output_gate,
                zoneout=zoneout,
            )
            for number in range(n_layers)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, states: list[QRNNState] | None = None) -> tuple[Tensor, list[QRNNState]]:
        """Read on: ``[batch, length, input_size]`` to ``[batch, length, hidden_size]``, and the state of each layer."""
        given: list[QRNNState | None] = [*states] if states else [None] * len(self.layers)
        kept = []
        for number, layer in enumerate(self.layers):
            x, state = layer(self.dropout(x) if number else x, given[number])
            kept.append(state)
        return x, kept
