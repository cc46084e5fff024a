"""Thinning feature maps so that a picture moved by a pixel gives nearly the same, moved."""

import torch
from torch import Tensor, nn

__all__ = ["MaxBlurPool"]


class MaxBlurPool(nn.Module):
    """Max pool over every place, then blur, then thin: a max pool that hardly minds where a picture stands.

    Zhang, "Making Convolutional Networks Shift-Invariant Again", 2019. The blur has the binomial weights 1 2 1.

    Args:
        kernel_size: side of the pool's window.
        stride: step of the thinning.
        padding: of the pool, as `torch.nn.MaxPool2d` has it.
    """

    weights: Tensor

    def __init__(self, kernel_size: int = 3, stride: int = 2, padding: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.pool = nn.MaxPool2d(kernel_size, stride=1, padding=padding)
        self.border = nn.ReplicationPad2d(1)
        line = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("weights", line[:, None] * line, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Pool ``[batch, channels, height, width]``."""
        channels = x.shape[1]
        kernel = self.weights.to(x.dtype).expand(channels, 1, 3, 3)
        return nn.functional.conv2d(self.border(self.pool(x)), kernel, stride=self.stride, groups=channels)

    def extra_repr(self) -> str:
        """The step."""
        return f"stride={self.stride}"
