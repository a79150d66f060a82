"""Published shapes and parameter counts, without classifiers. Networks are built on the meta device: shapes are
computed, nothing is allocated."""

import pytest
import torch
from torch import nn

from rspnet_core.encoders import ENCODERS, build_encoder
from rspnet_core.encoders.bottleneck_resnet3d import TEMPORAL_KERNELS, BottleneckBlock, BottleneckResNet3d
from rspnet_core.encoders.convolutions import FactorisedConvolution
from rspnet_core.encoders.video_encoder import VideoEncoder

# Parameters; clip as frames, side; map as features, time, height, width.
PUBLISHED = {
    "tiny": (292_080, (8, 64), (128, 4, 4, 4)),
    "c3d": (27_661_440, (16, 112), (512, 2, 7, 7)),
    "r3d_18": (33_203_904, (16, 112), (512, 1, 4, 4)),
    "r3d_10": (14_361_792, (16, 112), (512, 2, 7, 7)),
    "r2plus1d_10": (14_365_303, (16, 112), (512, 2, 7, 7)),
    # torchvision's documentation, less the classifiers of 400 classes.
    "torchvision_r3d_18": (33_371_472 - 513 * 400, (16, 112), (512, 2, 7, 7)),
    "mc3_18": (11_695_440 - 513 * 400, (16, 112), (512, 16, 7, 7)),
    "r2plus1d_18": (31_505_325 - 513 * 400, (16, 112), (512, 2, 7, 7)),
    "s3dg": (8_675_744, (64, 224), (1024, 8, 7, 7)),
    "s3dg_rspnet": (8_675_744, (16, 224), (1024, 2, 7, 7)),
    "s3dg_full_time": (8_675_744, (64, 224), (1024, 64, 7, 7)),
    # Published: 31.7 M. The others follow from the same table.
    "r3d_50": (31_672_128, (16, 224), (2048, 8, 7, 7)),
    "r3d_50_2x": (126_488_192, (16, 224), (4096, 8, 7, 7)),
    "r3d_50_4x": (505_552_128, (16, 224), (8192, 8, 7, 7)),
    "r3d_101": (59_577_152, (16, 224), (2048, 8, 7, 7)),
    "r3d_152": (82_036_544, (16, 224), (2048, 8, 7, 7)),
    "r3d_152_2x": (327_749_248, (16, 224), (4096, 8, 7, 7)),
    # Published with a classifier of 400 classes: 32.45 M.
    "slow_r50": (32_454_096 - 2049 * 400, (8, 224), (2048, 8, 7, 7)),
    "mvit_v1_b": (36_610_672 - 769 * 400, (16, 224), (768, 8, 7, 7)),
    "mvit_v2_s": (34_537_744 - 769 * 400, (16, 224), (768, 8, 7, 7)),
    "swin3d_t": (28_158_070 - 769 * 400, (32, 224), (768, 16, 7, 7)),
    "swin3d_s": (49_816_678 - 769 * 400, (32, 224), (768, 16, 7, 7)),
    "swin3d_b": (88_048_984 - 1025 * 400, (32, 224), (1024, 16, 7, 7)),
}


def on_meta(name: str) -> VideoEncoder:
    with torch.device("meta"):
        return build_encoder(name).eval()


def num_layers(encoder: nn.Module, kind: type[nn.Module]) -> int:
    return sum(isinstance(module, kind) for module in encoder.modules())


@pytest.mark.parametrize("name", ENCODERS)
def test_parameters_and_map_are_the_published_ones(name: str):
    """As many parameters as published, all trained; the published clip gives the published map."""
    num_parameters, (frames, side), feature_map = PUBLISHED[name]
    encoder = on_meta(name)
    assert sum(parameter.numel() for parameter in encoder.parameters()) == num_parameters
    assert all(parameter.requires_grad for parameter in encoder.parameters())
    assert encoder(torch.empty(2, 3, frames, side, side, device="meta")).shape == (2, *feature_map)
    assert encoder.feature_dim == feature_map[0]


@pytest.mark.parametrize(
    ("name", "num_convolutions", "num_norms"),
    [("c3d", 8, 8), ("r3d_18", 20, 20), ("r2plus1d_10", 24, 24), ("s3dg_rspnet", 97, 77), ("r3d_50", 53, 53)],
)
def test_layers_are_as_many_as_published(name: str, num_convolutions: int, num_norms: int):
    """Convolutions, shortcuts and gates included, and batch norms."""
    encoder = on_meta(name)
    assert num_layers(encoder, nn.Conv3d) == num_convolutions
    assert num_layers(encoder, nn.BatchNorm3d) == num_norms


def test_cvrl_halves_time_in_its_stem_alone():
    """The published table for 16 x 224 x 224, row by row."""
    encoder = on_meta("r3d_50")
    assert isinstance(encoder, BottleneckResNet3d)
    maps = torch.empty(1, 3, 16, 224, 224, device="meta")
    shapes = []
    for layer in (*encoder.stem, *encoder.stages):
        maps = layer(maps)
        shapes.append(tuple(maps.shape[1:]))
    assert [shapes[0], *shapes[3:]] == [
        (64, 8, 112, 112),
        (64, 8, 56, 56),
        (256, 8, 56, 56),
        (512, 8, 28, 28),
        (1024, 8, 14, 14),
        (2048, 8, 7, 7),
    ]
    assert encoder.stem.get_submodule("0").kernel_size == (5, 7, 7)


@pytest.mark.parametrize("name", ["r3d_50", "slow_r50"])
def test_bottlenecks_stride_in_the_middle_and_compare_frames_late(name: str):
    """3 x 1 x 1 in every block of res4 and res5 and 1 x 1 x 1 before; the stride of a stage's first block is
    (1, 2, 2) and lies on its 1 x 3 x 3 convolution and its shortcut."""
    encoder = on_meta(name)
    assert isinstance(encoder, BottleneckResNet3d)
    for stage_index, stage in enumerate(encoder.stages.children()):
        for block_index, block in enumerate(stage.children()):
            assert isinstance(block, BottleneckBlock)
            stride = (1, 2, 2) if stage_index > 0 and block_index == 0 else (1, 1, 1)
            assert block.conv1.kernel_size == (TEMPORAL_KERNELS[stage_index], 1, 1)
            assert block.conv2.kernel_size == (1, 3, 3)
            assert (block.conv1.stride, block.conv2.stride, block.conv3.stride) == ((1, 1, 1), stride, (1, 1, 1))
            if block_index == 0:
                assert block.shortcut.get_submodule("0").stride == stride
            else:
                assert isinstance(block.shortcut, nn.Identity)


def test_a_factorised_convolution_has_the_papers_width_and_strides():
    """M = floor(3 x 9 x 64 x 128 / (9 x 64 + 3 x 128)) = floor(230.4); space strides first, time second."""
    convolution = FactorisedConvolution(64, 128, (3, 3, 3), (2, 2, 2))
    assert convolution.spatial.out_channels == convolution.temporal.in_channels == 230
    assert (convolution.spatial.kernel_size, convolution.spatial.stride) == ((1, 3, 3), (1, 2, 2))
    assert (convolution.temporal.kernel_size, convolution.temporal.stride) == ((3, 1, 1), (2, 1, 1))


@pytest.mark.parametrize(
    ("name", "weight", "variance"),
    [
        ("r3d_18", "stem.0.weight", 2 / (64 * 7**3)),
        ("r3d_18", "stages.3.1.conv2.weight", 2 / (512 * 27)),
        ("slow_r50", "stem.0.weight", 2 / (64 * 49)),
        ("r3d_50", "stages.3.2.conv2.weight", 1 / (512 * 9)),
        ("r3d_50", "stem.0.weight", 1 / (3 * 5 * 49)),
        ("s3dg", "layers.conv2b.spatial.0.weight", (0.01 * 0.8796) ** 2),
        ("torchvision_r3d_18", "stem.0.weight", 2 / (64 * 3 * 49)),
    ],
)
def test_weights_are_drawn_as_published(name: str, weight: str, variance: float):
    """Fan-out for R3D-18 and Slow R50, fan-in for CVRL (its cut at two deviations corrected), 0.01 for S3D-G."""
    drawn = build_encoder(name).get_parameter(weight)
    assert drawn.std().item() == pytest.approx(variance**0.5, rel=0.03)
    assert drawn.mean().abs().item() < 0.05 * variance**0.5


def test_cvrl_draws_no_weight_beyond_two_deviations():
    """Of the normal before the correction: 2 / 0.8796 of the weights' own deviation."""
    weight = build_encoder("r3d_50").get_parameter("stages.3.2.conv2.weight")
    assert 0.97 < weight.abs().max().item() / (2 / 0.87962566 / (512 * 9) ** 0.5) <= 1
