"""Pictures: opening, cropping, augmenting, loading, learning; `laminar.vision.all` is what notebooks import."""

import laminar.vision.examining  # noqa: F401  # so that checks of data know pictures
from laminar.vision import own_steps
from laminar.vision.annotations import get_annotations
from laminar.vision.augment import (
    Augment,
    Brightness,
    Contrast,
    DeterministicDihedral,
    DeterministicDraw,
    DeterministicFlip,
    Dihedral,
    Flip,
    Hue,
    LightTransform,
    RandomResizedCropGPU,
    Rotate,
    Saturation,
    SpaceTransform,
    Warp,
    Zoom,
    aug_transforms,
    setup_aug_tfms,
)
from laminar.vision.blocks import (
    AddMaskCodes,
    BBoxBlock,
    BBoxLblBlock,
    ImageBlock,
    MaskBlock,
    OpenImage,
    PointBlock,
)
from laminar.vision.collecting import (
    ResizeImageOptions,
    download_images,
    resize_image,
    resize_images,
    resize_to,
    verify_image,
    verify_images,
)
from laminar.vision.crop import (
    CropPad,
    PadMode,
    RandomCrop,
    RandomResizedCrop,
    RatioResize,
    Resize,
    ResizeMethod,
)
from laminar.vision.data import ImageDataLoaders, ImageLoadersOptions, TableOptions
from laminar.vision.erasing import RandomErasing, cutout_gaussian, norm_apply_denorm
from laminar.vision.images import (
    PILBase,
    PILImage,
    PILImageBW,
    PILMask,
    cifar_stats,
    image2tensor,
    imagenet_stats,
    mnist_stats,
)
from laminar.vision.learner import (
    HeadOptions,
    VisionLearnerOptions,
    create_vision_model,
    vision_learner,
    vision_network,
)
from laminar.vision.lighting import grayscale, hsv2rgb, rgb2hsv
from laminar.vision.models import xresnet_variants
from laminar.vision.models.body import adapt_channels, body_splitter, create_body, cut_model, num_features
from laminar.vision.models.expected_input import ExpectedInput, expected_input
from laminar.vision.models.head import create_head
from laminar.vision.models.pretrained import find_weights, pretrained_body
from laminar.vision.models.scales import BodyScales
from laminar.vision.models.unet import DynamicUnet, UnetBlock, UnetOptions
from laminar.vision.models.xresnet import (
    XResNet,
    xresnet18,
    xresnet34,
    xresnet50,
    xresnet101,
    xresnet152,
    xresnet_small,
)
from laminar.vision.models.xresnet_variants import *  # noqa: F403  # handed on whole
from laminar.vision.on_device import DecodePictures, DeviceImage
from laminar.vision.outside import (
    BoxesOutside,
    Outside,
    PointsOutside,
    bb_pad,
    clip_remove_empty,
    points_inside,
)
from laminar.vision.own_steps import *  # noqa: F403  # handed on whole
from laminar.vision.positions import AddCanvas, BBoxLabeler, LabeledBBox, PointScaler
from laminar.vision.segmentation import SegmentationDataLoaders
from laminar.vision.showing import plot_worst_classes, plot_worst_labels, show_class_results
from laminar.vision.side_by_side import (
    plot_worst_targets,
    show_pairs,
    show_predicted_pictures,
    show_target_and_prediction,
    show_targets,
    show_views,
    show_views_with_predictions,
)
from laminar.vision.turning import DihedralItem, FlipItem
from laminar.vision.unet import UnetLearnerOptions, create_unet_model, unet_learner, unet_network

__all__ = [
    "ExpectedInput",
    "expected_input",
    "BodyScales",
    "DynamicUnet",
    "UnetBlock",
    "UnetOptions",
    "UnetLearnerOptions",
    "create_unet_model",
    "unet_learner",
    "unet_network",
    "DeterministicDihedral",
    "DeterministicDraw",
    "DeterministicFlip",
    "RatioResize",
    "cutout_gaussian",
    "grayscale",
    "hsv2rgb",
    "norm_apply_denorm",
    "rgb2hsv",
    "AddCanvas",
    "AddMaskCodes",
    "Augment",
    "BBoxBlock",
    "BBoxLabeler",
    "BBoxLblBlock",
    "BoxesOutside",
    "Brightness",
    "Contrast",
    "CropPad",
    "Dihedral",
    "DihedralItem",
    "Flip",
    "FlipItem",
    "HeadOptions",
    "Hue",
    "ImageBlock",
    "ImageDataLoaders",
    "ImageLoadersOptions",
    "LabeledBBox",
    "LightTransform",
    "MaskBlock",
    "OpenImage",
    "Outside",
    "PILBase",
    "PILImage",
    "PILImageBW",
    "PILMask",
    "PadMode",
    "PointBlock",
    "PointScaler",
    "PointsOutside",
    "RandomCrop",
    "DecodePictures",
    "DeviceImage",
    "RandomErasing",
    "RandomResizedCrop",
    "RandomResizedCropGPU",
    "Resize",
    "ResizeMethod",
    "Rotate",
    "Saturation",
    "SegmentationDataLoaders",
    "SpaceTransform",
    "VisionLearnerOptions",
    "TableOptions",
    "Warp",
    "XResNet",
    "Zoom",
    "adapt_channels",
    "aug_transforms",
    "bb_pad",
    "body_splitter",
    "cifar_stats",
    "clip_remove_empty",
    "create_body",
    "create_head",
    "create_vision_model",
    "cut_model",
    "find_weights",
    "get_annotations",
    "image2tensor",
    "imagenet_stats",
    "mnist_stats",
    "num_features",
    "plot_worst_classes",
    "plot_worst_labels",
    "plot_worst_targets",
    "points_inside",
    "pretrained_body",
    "setup_aug_tfms",
    "show_class_results",
    "show_pairs",
    "show_predicted_pictures",
    "show_target_and_prediction",
    "show_targets",
    "show_views",
    "show_views_with_predictions",
    "ResizeImageOptions",
    "download_images",
    "resize_image",
    "resize_images",
    "resize_to",
    "verify_image",
    "verify_images",
    "vision_learner",
    "vision_network",
    "xresnet101",
    "xresnet152",
    "xresnet18",
    "xresnet34",
    "xresnet50",
    "xresnet_small",
]
__all__ += xresnet_variants.__all__
__all__ += own_steps.__all__
