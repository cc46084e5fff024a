"""U-Net over any body: back up from its features to a value for each pixel."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypedDict

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from laminar.core.errors import ConfigError
from laminar.nn.attention import SelfAttention
from laminar.nn.blocks import ActivationClass, BatchNorm, ConvLayer, NormType
from laminar.nn.layers import SigmoidRange
from laminar.nn.residual import ResBlock
from laminar.nn.upsampling import PixelShuffle_ICNR
from laminar.vision.models.body import MEASURED_SIZES
from laminar.vision.models.head import init_head
from laminar.vision.models.measuring import channels_in
from laminar.vision.models.scales import channels_of_scales, with_scales
from laminar.vision.models.timm_networks import TimmScales

__all__ = ["DynamicUnet", "UnetBlock", "UnetOptions"]

Init = Callable[[Tensor], object] | None


class UnetOptions(TypedDict, total=False):
    """Keyword arguments of `DynamicUnet`, which documents them."""

    blur: bool
    blur_final: bool
    self_attention: bool
    y_range: tuple[float, float] | None
    last_cross: bool
    bottle: bool
    act_cls: ActivationClass
    norm_type: NormType | None


class UnetBlock(nn.Module):
    """One step up: enlarge the coarse features, put the body's own of that scale beside them, convolve twice.

    Args:
        up_in_c: channels of the coarse features; half of them are left after enlarging.
        x_in_c: channels of the body's features.
        final_div: keep all channels; False leaves half.
        blur: see `PixelShuffle_ICNR`.
        act_cls: makes the activations.
        self_attention: end with `SelfAttention`.
        init: draws the convolutions' weights in place; None leaves `ConvLayer`'s own start.
        norm_type: of the convolutions.
    """

    def __init__(
        self,
        up_in_c: int,
        x_in_c: int,
        final_div: bool = True,
        blur: bool = False,
        act_cls: ActivationClass = nn.ReLU,
        self_attention: bool = False,
        init: Init = nn.init.kaiming_normal_,
        norm_type: NormType | None = None,
    ) -> None:
        super().__init__()
        joined = up_in_c // 2 + x_in_c
        self.n_out = joined if final_div else joined // 2
        self.shuf = PixelShuffle_ICNR(up_in_c, up_in_c // 2, blur=blur, act_cls=act_cls, norm_type=norm_type)
        self.bn = BatchNorm(x_in_c)
        self.act = act_cls()
        self.conv1 = ConvLayer(joined, self.n_out, act_cls=act_cls, norm_type=norm_type)
        attention = SelfAttention(self.n_out) if self_attention else None
        self.conv2 = ConvLayer(self.n_out, self.n_out, act_cls=act_cls, norm_type=norm_type, xtra=attention)
        init_plain(self.conv1, init)
        init_plain(self.conv2, init)

    def forward(self, up_in: Tensor, skip: Tensor) -> Tensor:
        """Join ``[batch, up_in_c, h, w]`` and ``[batch, x_in_c, height, width]`` at the size of the second."""
        up = _resized(self.shuf(up_in), skip)
        joined = self.act(torch.cat([up, self.bn(skip)], dim=1))
        out: Tensor = self.conv2(self.conv1(joined))
        return out


class DynamicUnet(nn.Module):
    """U-Net whose way down is any body: ``[batch, channels, height, width]`` to ``[batch, n_out, height, width]``.

    Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015. The scales and channels
    of the body are measured; pictures may have any size, also an odd one: features are resized to those they join.

    Args:
        encoder: layers in order, as `create_body` makes them, or a module that gives a list of feature maps, the finest
            first.
        n_out: outputs for each pixel.
        img_size: height and width of the pictures to measure the encoder with; None for sizes that nearly all take.
            The network is the same whatever they are, as long as every scale is seen.
        blur: average neighbours after enlarging, see `PixelShuffle_ICNR`.
        blur_final: with `blur`, also in the last step.
        self_attention: at the third step from the top.
        y_range: bounds of the outputs.
        last_cross: put the picture itself beside the last features.
        bottle: the residual block after that is a bottleneck of half the channels.
        act_cls: makes the activations.
        init: draws the weights of the way up in place; None leaves their own start.
        norm_type: of the convolutions on the way up.

    Raises:
        ConfigError: the encoder does not give features at several scales.
    """

    def __init__(
        self,
        encoder: nn.Module,
        n_out: int,
        img_size: tuple[int, int] | None = None,
        blur: bool = False,
        blur_final: bool = True,
        self_attention: bool = False,
        y_range: tuple[float, float] | None = None,
        last_cross: bool = True,
        bottle: bool = False,
        act_cls: ActivationClass = nn.ReLU,
        init: Init = nn.init.kaiming_normal_,
        norm_type: NormType | None = None,
    ) -> None:
        super().__init__()
        self.encoder = with_scales(encoder)
        self.last_cross = last_cross
        *skips, (channels, _) = scales = _scales(self.encoder, img_size)
        self.middle = nn.Sequential(
            BatchNorm(channels),
            nn.ReLU(),
            ConvLayer(channels, channels * 2, act_cls=act_cls, norm_type=norm_type),
            ConvLayer(channels * 2, channels, act_cls=act_cls, norm_type=norm_type),
        )
        init_plain(self.middle, init)
        steps: list[UnetBlock] = []
        for i, (skip, _) in enumerate(reversed(skips)):
            last = i == len(skips) - 1
            step = UnetBlock(
                channels,
                skip,
                final_div=not last,
                blur=blur and (blur_final or not last),
                act_cls=act_cls,
                self_attention=self_attention and i == max(0, len(skips) - 3),
                init=init,
                norm_type=norm_type,
            )
            channels = step.n_out
            steps.append(step)
        self.steps = nn.ModuleList(steps)
        # The finest features are smaller than the picture, by half or more.
        doublings = round(math.log2(max(1.0, scales[0][1])))
        self.to_picture = nn.Sequential(
            *(PixelShuffle_ICNR(channels, act_cls=act_cls, norm_type=norm_type) for _ in range(doublings))
        )
        last_layers: list[nn.Module] = []
        if last_cross:
            channels += channels_in(self.encoder)
            width = channels // 2 if bottle else None
            block = ResBlock(1, channels, channels, nh2=width, act_cls=act_cls, norm_type=norm_type)
            init_plain(block, init)
            last_layers.append(block)
        final = ConvLayer(channels, n_out, ks=1, act_cls=None, norm_type=norm_type)
        init_plain(final, init)
        last_layers.append(final)
        if y_range is not None:
            last_layers.append(SigmoidRange(*y_range))
        self.last = nn.Sequential(*last_layers)

    def forward(self, x: Tensor) -> Tensor:
        """A value of each output for each pixel of ``[batch, channels, height, width]``."""
        *skips, up = self.encoder(x)
        up = self.middle(up)
        for step, skip in zip(self.steps, reversed(skips), strict=True):
            up = step(up, skip)
        up = _resized(self.to_picture(up), x)
        if self.last_cross:
            up = torch.cat([up, x], dim=1)
        out: Tensor = self.last(up)
        return out


def init_plain(layers: nn.Module, init: Init) -> None:
    """Start convolutions whose weights are parameters (not those of a weight or spectral norm) by `init`."""
    for layer in layers.modules():
        if type(layer) is nn.Conv2d:
            init_head(layer, init)


def _scales(encoder: nn.Module, img_size: tuple[int, int] | None) -> list[tuple[int, float]]:
    sizes = MEASURED_SIZES if img_size is None else (max(img_size),)
    if isinstance(encoder, TimmScales) and encoder.body.fixed:
        sizes = (max(encoder.body.size),)
    failure: Exception | None = None
    for size in sizes:
        try:
            return channels_of_scales(encoder, size)
        except ConfigError:
            raise
        except (RuntimeError, ValueError, AssertionError) as error:
            failure = error
    raise ConfigError(f"the encoder cannot be run on a picture of {sizes[-1]} pixels: {failure}") from failure


def _resized(x: Tensor, like: Tensor) -> Tensor:
    """`x` with height and width of `like`, by the nearest pixel."""
    return x if x.shape[-2:] == like.shape[-2:] else interpolate(x, size=like.shape[-2:], mode="nearest")
