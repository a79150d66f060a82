"""Published networks, written down by hand: the names and shapes of their checkpoints, and what they compute.

Independent of our encoders and of the table that renames: each is a slow function of a mapping of tensors under
published names, in evaluation mode.
"""

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor
from torch.nn import functional

Checkpoint = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]
INCEPTION = {
    "3b": (192, 64, 96, 128, 16, 32, 32),
    "3c": (256, 128, 128, 192, 32, 96, 64),
    "4b": (480, 192, 96, 208, 16, 48, 64),
    "4c": (512, 160, 112, 224, 24, 64, 64),
    "4d": (512, 128, 128, 256, 24, 64, 64),
    "4e": (512, 112, 144, 288, 32, 64, 64),
    "4f": (528, 256, 160, 320, 32, 128, 128),
    "5b": (832, 256, 160, 320, 32, 128, 128),
    "5c": (832, 384, 192, 384, 48, 128, 128),
}


def random_checkpoint(shapes: Shapes) -> Checkpoint:
    """Every tensor differs: convolutions keep the scale of activations, norms do not start at zero and one."""
    return {name: _draw(name, shape) for name, shape in shapes.items()}


def _draw(name: str, shape: tuple[int, ...]) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.randint(1, 1000, shape)
    if len(shape) > 1:
        return torch.randn(shape) * (2 / prod(shape[1:])) ** 0.5
    return torch.rand(shape) + 0.5


def _norm_shapes(name: str, channels: int) -> Shapes:
    vectors = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{vector}": (channels,) for vector in vectors} | {f"{name}.num_batches_tracked": ()}


def _norm(checkpoint: Checkpoint, name: str, maps: Tensor, eps: float = 1e-5) -> Tensor:
    mean, variance, weight, bias = (
        checkpoint[f"{name}.{part}"][:, None, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (maps - mean) / (variance + eps).sqrt() * weight + bias


def _convolve(checkpoint: Checkpoint, name: str, maps: Tensor, stride: int | tuple[int, int, int] = 1) -> Tensor:
    weight = checkpoint[f"{name}.weight"]
    padding = [size // 2 for size in weight.shape[2:]]
    return functional.conv3d(maps, weight, checkpoint.get(f"{name}.bias"), stride=stride, padding=padding)


# C3D of VCOP, Pace and RSPNet.


def c3d_shapes() -> Shapes:
    shapes: Shapes = {}
    channels = 3
    for name, width in zip(
        ["1", "2", "3a", "3b", "4a", "4b", "5a", "5b"], (64, 128, 256, 256, 512, 512, 512, 512), strict=True
    ):
        shapes |= {f"conv{name}.weight": (width, channels, 3, 3, 3), f"conv{name}.bias": (width,)}
        shapes |= _norm_shapes(f"bn{name}", width)
        channels = width
    return shapes


def c3d(checkpoint: Checkpoint, maps: Tensor) -> Tensor:
    for name in ("1", "2", "3a", "3b", "4a", "4b", "5a", "5b"):
        maps = _norm(checkpoint, f"bn{name}", _convolve(checkpoint, f"conv{name}", maps)).relu()
        if name in ("1", "2", "3b", "4b"):
            maps = functional.max_pool3d(maps, (1, 2, 2) if name == "1" else 2)
    return maps


# 3D-ResNets' and RSPNet's resnet18.


def resnet18_shapes() -> Shapes:
    shapes: Shapes = {"conv1.weight": (64, 3, 7, 7, 7)} | _norm_shapes("bn1", 64)
    channels = 64
    for layer, width in enumerate((64, 128, 256, 512), start=1):
        for block in range(2):
            name = f"layer{layer}.{block}"
            shapes |= {
                f"{name}.conv1.weight": (width, channels, 3, 3, 3),
                f"{name}.conv2.weight": (width, width, 3, 3, 3),
            }
            shapes |= _norm_shapes(f"{name}.bn1", width) | _norm_shapes(f"{name}.bn2", width)
            if block == 0 and layer > 1:
                shapes |= {f"{name}.downsample.0.weight": (width, channels, 1, 1, 1)}
                shapes |= _norm_shapes(f"{name}.downsample.1", width)
            channels = width
    return shapes


def resnet18(checkpoint: Checkpoint, maps: Tensor) -> Tensor:
    maps = _norm(checkpoint, "bn1", _convolve(checkpoint, "conv1", maps, (1, 2, 2))).relu()
    maps = functional.max_pool3d(maps, 3, stride=2, padding=1)
    for layer in range(1, 5):
        for block in range(2):
            name = f"layer{layer}.{block}"
            stride = 2 if block == 0 and layer > 1 else 1
            shortcut = maps
            if stride == 2:
                shortcut = _norm(
                    checkpoint, f"{name}.downsample.1", _convolve(checkpoint, f"{name}.downsample.0", maps, 2)
                )
            maps = _norm(checkpoint, f"{name}.bn1", _convolve(checkpoint, f"{name}.conv1", maps, stride)).relu()
            maps = _norm(checkpoint, f"{name}.bn2", _convolve(checkpoint, f"{name}.conv2", maps))
            maps = (maps + shortcut).relu()
    return maps


# VCOP's R3D and R(2+1)D (also RSPNet's and Pace's), which differ in a convolution.


def dense_shapes(name: str, channels: int, width: int, kernel: tuple[int, int, int]) -> Shapes:
    return {f"{name}.temporal_spatial_conv.weight": (width, channels, *kernel)}


def dense(checkpoint: Checkpoint, name: str, maps: Tensor, stride: tuple[int, int, int]) -> Tensor:
    return _convolve(checkpoint, f"{name}.temporal_spatial_conv", maps, stride)


def factorised_shapes(name: str, channels: int, width: int, kernel: tuple[int, int, int]) -> Shapes:
    time, area = kernel[0], kernel[1] * kernel[2]
    between = int(time * area * channels * width / (area * channels + time * width))
    return (
        {f"{name}.spatial_conv.weight": (between, channels, 1, *kernel[1:])}
        | _norm_shapes(f"{name}.bn", between)
        | {f"{name}.temporal_conv.weight": (width, between, time, 1, 1)}
    )


def factorised(checkpoint: Checkpoint, name: str, maps: Tensor, stride: tuple[int, int, int]) -> Tensor:
    maps = _convolve(checkpoint, f"{name}.spatial_conv", maps, (1, *stride[1:]))
    return _convolve(
        checkpoint, f"{name}.temporal_conv", _norm(checkpoint, f"{name}.bn", maps).relu(), (stride[0], 1, 1)
    )


def clip_order_shapes(convolution: Callable[..., Shapes]) -> Shapes:
    shapes = convolution("conv1", 3, 64, (3, 7, 7)) | _norm_shapes("bn1", 64)
    channels = 64
    for layer, width in enumerate((64, 128, 256, 512), start=2):
        name = f"conv{layer}.block1"
        if layer > 2:
            shapes |= convolution(f"{name}.downsampleconv", channels, width, (1, 1, 1))
            shapes |= _norm_shapes(f"{name}.downsamplebn", width)
        shapes |= convolution(f"{name}.conv1", channels, width, (3, 3, 3)) | _norm_shapes(f"{name}.bn1", width)
        shapes |= convolution(f"{name}.conv2", width, width, (3, 3, 3)) | _norm_shapes(f"{name}.bn2", width)
        channels = width
    return shapes


def clip_order(convolution: Callable[..., Tensor]) -> Callable[[Checkpoint, Tensor], Tensor]:
    def forward(checkpoint: Checkpoint, maps: Tensor) -> Tensor:
        maps = _norm(checkpoint, "bn1", convolution(checkpoint, "conv1", maps, (1, 2, 2))).relu()
        for layer in range(2, 6):
            name, stride, shortcut = f"conv{layer}.block1", (1, 1, 1), maps
            if layer > 2:
                stride = (2, 2, 2)
                shortcut = convolution(checkpoint, f"{name}.downsampleconv", maps, stride)
                shortcut = _norm(checkpoint, f"{name}.downsamplebn", shortcut)
            maps = _norm(checkpoint, f"{name}.bn1", convolution(checkpoint, f"{name}.conv1", maps, stride)).relu()
            maps = _norm(checkpoint, f"{name}.bn2", convolution(checkpoint, f"{name}.conv2", maps, (1, 1, 1)))
            maps = (maps + shortcut).relu()
        return maps

    return forward


# RSPNet's S3D-G.


def _unit_shapes(name: str, channels: int, width: int, kernel: tuple[int, int, int] = (1, 1, 1)) -> Shapes:
    return {f"{name}.conv3d.weight": (width, channels, *kernel)} | _norm_shapes(f"{name}.bn", width)


def _separable_shapes(name: str, channels: int, width: int, kernel: int) -> Shapes:
    return (
        _unit_shapes(f"{name}.sep_conv.0", channels, width, (1, kernel, kernel))
        | _unit_shapes(f"{name}.sep_conv.1", width, width, (kernel, 1, 1))
        | {f"{name}.excitation.weight": (width, width, 1, 1, 1), f"{name}.excitation.bias": (width,)}
    )


def s3dg_shapes() -> Shapes:
    shapes = _separable_shapes("feature.sepConv1", 3, 64, 7) | _unit_shapes("feature.basicConv3d", 64, 64)
    shapes |= _separable_shapes("feature.sep_conv2", 64, 192, 3)
    for block, (channels, point, reduced1, wide1, reduced2, wide2, pooled) in INCEPTION.items():
        name = f"feature.sepInc_{block}"
        shapes |= _unit_shapes(f"{name}.branch0", channels, point)
        shapes |= _unit_shapes(f"{name}.branch1.0", channels, reduced1)
        shapes |= _separable_shapes(f"{name}.branch1.1", reduced1, wide1, 3)
        shapes |= _unit_shapes(f"{name}.branch2.0", channels, reduced2)
        shapes |= _separable_shapes(f"{name}.branch2.1", reduced2, wide2, 3)
        shapes |= _unit_shapes(f"{name}.branch3.1", channels, pooled)
    return shapes


def s3dg(checkpoint: Checkpoint, maps: Tensor) -> Tensor:
    def unit(name: str, maps: Tensor, stride: int = 1) -> Tensor:
        return _norm(checkpoint, f"{name}.bn", _convolve(checkpoint, f"{name}.conv3d", maps, stride), eps=1e-3).relu()

    def separable(name: str, maps: Tensor, stride: int = 1) -> Tensor:
        maps = unit(f"{name}.sep_conv.1", unit(f"{name}.sep_conv.0", maps, stride))
        return _convolve(checkpoint, f"{name}.excitation", maps.mean((2, 3, 4), keepdim=True)).sigmoid() * maps

    maps = separable("feature.sepConv1", maps, stride=2)
    maps = functional.max_pool3d(maps, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
    maps = separable("feature.sep_conv2", unit("feature.basicConv3d", maps))
    maps = functional.max_pool3d(maps, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
    for block in INCEPTION:
        if block == "4b":
            maps = functional.max_pool3d(maps, 3, stride=2, padding=1)
        if block == "5b":
            maps = functional.max_pool3d(maps, 2)
        name = f"feature.sepInc_{block}"
        branches = [unit(f"{name}.branch0", maps)]
        branches += [separable(f"{name}.branch{i}.1", unit(f"{name}.branch{i}.0", maps)) for i in (1, 2)]
        branches.append(unit(f"{name}.branch3.1", functional.max_pool3d(maps, 3, stride=1, padding=1)))
        maps = torch.cat(branches, dim=1)
    return maps


# SlowFast's Slow R50.


def slow_r50_shapes() -> Shapes:
    shapes: Shapes = {"s1.pathway0_stem.conv.weight": (64, 3, 1, 7, 7)} | _norm_shapes("s1.pathway0_stem.bn", 64)
    channels = 64
    for stage, (num_blocks, width, time) in enumerate(((3, 64, 1), (4, 128, 1), (6, 256, 3), (3, 512, 3)), start=2):
        for block in range(num_blocks):
            name = f"s{stage}.pathway0_res{block}"
            if block == 0:
                shapes |= {f"{name}.branch1.weight": (4 * width, channels, 1, 1, 1)}
                shapes |= _norm_shapes(f"{name}.branch1_bn", 4 * width)
            shapes |= {
                f"{name}.branch2.a.weight": (width, channels, time, 1, 1),
                f"{name}.branch2.b.weight": (width, width, 1, 3, 3),
                f"{name}.branch2.c.weight": (4 * width, width, 1, 1, 1),
            }
            for letter, size in (("a", width), ("b", width), ("c", 4 * width)):
                shapes |= _norm_shapes(f"{name}.branch2.{letter}_bn", size)
            channels = 4 * width
    return shapes


def slow_r50(checkpoint: Checkpoint, maps: Tensor) -> Tensor:
    def unit(name: str, norm: str, maps: Tensor, stride: tuple[int, int, int] = (1, 1, 1)) -> Tensor:
        return _norm(checkpoint, norm, _convolve(checkpoint, name, maps, stride))

    maps = unit("s1.pathway0_stem.conv", "s1.pathway0_stem.bn", maps, (1, 2, 2)).relu()
    maps = functional.max_pool3d(maps, (1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
    for stage, num_blocks in enumerate((3, 4, 6, 3), start=2):
        for block in range(num_blocks):
            name = f"s{stage}.pathway0_res{block}"
            stride = (1, 2, 2) if stage > 2 and block == 0 else (1, 1, 1)
            shortcut = unit(f"{name}.branch1", f"{name}.branch1_bn", maps, stride) if block == 0 else maps
            maps = unit(f"{name}.branch2.a", f"{name}.branch2.a_bn", maps).relu()
            maps = unit(f"{name}.branch2.b", f"{name}.branch2.b_bn", maps, stride).relu()
            maps = (unit(f"{name}.branch2.c", f"{name}.branch2.c_bn", maps) + shortcut).relu()
    return maps
