"""torchvision's vision transformers as bodies: what the class token says of pictures of any size."""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models import VisionTransformer

__all__ = ["TransformerBody", "is_transformer"]


def is_transformer(model: nn.Module) -> TypeGuard[VisionTransformer]:
    """Whether a network is a vision transformer of torchvision's that goes through its layers as that one does."""
    return isinstance(model, VisionTransformer) and type(model).forward is VisionTransformer.forward


class TransformerBody(nn.Module):
    """One of torchvision's vision transformers without its classifier: pictures to ``[batch, features]``.

    Dosovitskiy et al., "An Image is Worth 16x16 Words", 2020. The features are those of the class token. Pictures may
    have any size that the patches divide: as in that paper, positions are interpolated where there are more or fewer
    patches than in training.

    Args:
        model: its layers are shared, not copied.

    Attributes:
        features: how many there are.
        pooled: they come without height and width.
    """

    pooled = True

    def __init__(self, model: VisionTransformer) -> None:
        super().__init__()
        self.patch_size = model.patch_size
        self.features = model.hidden_dim
        self.class_token = model.class_token
        self.conv_proj = model.conv_proj
        self.encoder = model.encoder

    def forward(self, x: Tensor) -> Tensor:
        """Features of ``[batch, channels, height, width]``.

        Raises:
            ValueError: the patches do not divide the picture.
        """
        height, width = x.shape[-2:]
        if height % self.patch_size or width % self.patch_size:
            raise ValueError(f"its patches of {self.patch_size}x{self.patch_size} do not divide {height}x{width}")
        patches: Tensor = self.conv_proj(x)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
        encoder = self.encoder
        out: Tensor = encoder.ln(encoder.layers(encoder.dropout(tokens + self._positions(*patches.shape[-2:]))))
        return out[:, 0]

    def _positions(self, rows: int, columns: int) -> Tensor:
        """What tells places apart, for so many patches: ``[1, 1 + rows * columns, features]``."""
        known: Tensor = self.encoder.pos_embedding
        side = round((known.shape[1] - 1) ** 0.5)
        if (rows, columns) == (side, side):
            return known
        grid = known[:, 1:].transpose(1, 2).reshape(1, -1, side, side)
        scaled = interpolate(grid, (rows, columns), mode="bicubic", antialias=True)
        return torch.cat([known[:, :1], scaled.flatten(2).transpose(1, 2)], dim=1)

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Early and late layers."""
        layers = list(self.encoder.layers)
        half = (len(layers) + 1) // 2
        late = [parameter for part in (*layers[half:], self.encoder.ln) for parameter in part.parameters()]
        known = {id(parameter) for parameter in late}
        return [[parameter for parameter in self.parameters() if id(parameter) not in known], late]
