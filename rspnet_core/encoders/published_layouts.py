"""How published checkpoints name the parameters of our encoders, and what else lies in them.

Names were read in the public code of each repository (its module attributes, which decide the keys); no released
weight file was at hand, so none was loaded:
- PeihaoChen/RSPNet: models/{c3d,resnet,r2plus1d_vcop,s3dg}.py, moco/{builder_diffspeed_diffloss,split_wrapper}.py
- kenshohara/3D-ResNets-PyTorch: models/resnet.py (the same names as RSPNet's resnet)
- xudejing/video-clip-order-prediction: models/{r3d,vcopn}.py; its C3D and R(2+1)D as copied by RSPNet and Pace
- laura-wang/video-pace: models/{c3d,r21d}.py
- facebookresearch/SlowFast: models/{resnet_helper,stem_helper,contrastive}.py
- torchvision: the installed package, against which the tests compare every key and shape
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

# What RSPNet's and the clip-order methods' checkpoints hold beside an encoder.
_RSPNET_OTHERS = ("encoder_k.", "encoder_q.fc1.", "encoder_q.fc2.", "queue", "fc.")
_CLIP_ORDER_OTHERS = ("fc7.", "fc8.")
_RSPNET_PREFIXES = ("encoder_q.encoder.", "encoder.", "")
_CLIP_ORDER_PREFIXES = ("base_network.",)


@dataclass(frozen=True, kw_only=True)
class PublishedLayout:
    """`published_name` turns a key of ours into the published one, without what stands before it there.

    `prefixes`: what may stand before it, the first that fits is taken. `classifiers`: starts of the keys, after
    that prefix, of a classifier on top. `others`: starts of whole keys that belong to no encoder.
    """

    published_name: Callable[[str], str]
    prefixes: tuple[str, ...]
    classifiers: tuple[str, ...]
    others: tuple[str, ...] = ()


def _c3d(key: str) -> str:
    key = re.sub(r"^layers\.(\w+)\.0\.", r"conv\1.", key)
    return re.sub(r"^layers\.(\w+)\.1\.", r"bn\1.", key)


def _hara(key: str) -> str:
    key = re.sub(r"^stem\.0\.", "conv1.", key)
    key = re.sub(r"^stem\.1\.", "bn1.", key)
    key = re.sub(r"^stages\.(\d)\.", lambda match: f"layer{int(match[1]) + 1}.", key)
    return key.replace(".norm", ".bn").replace(".shortcut.", ".downsample.")


def _clip_order(key: str) -> str:
    key = re.sub(r"^stem\.0\.", "conv1.", key)
    key = re.sub(r"^stem\.1\.", "bn1.", key)
    key = re.sub(r"^stages\.(\d)\.0\.", lambda match: f"conv{int(match[1]) + 2}.block1.", key)
    key = re.sub(r"\.norm(\d?)\.", r".bn\1.", key)
    return key.replace(".shortcut.0.", ".downsampleconv.").replace(".shortcut.1.", ".downsamplebn.")


def _r2plus1d_10(key: str) -> str:
    return _clip_order(key).replace(".spatial.", ".spatial_conv.").replace(".temporal.", ".temporal_conv.")


def _r3d_10(key: str) -> str:
    return re.sub(r"(conv\d?)\.weight$", r"\1.temporal_spatial_conv.weight", _clip_order(key))


_S3DG_LAYERS = {"conv1": "sepConv1", "conv2a": "basicConv3d", "conv2b": "sep_conv2"}


def _s3dg_rspnet(key: str) -> str:
    _, layer, rest = key.split(".", 2)
    name = _S3DG_LAYERS.get(layer, layer.replace("mixed", "sepInc_"))
    rest = rest.replace("branches.", "branch", 1)
    rest = rest.replace("spatial.", "sep_conv.0.").replace("temporal.", "sep_conv.1.").replace("gate.", "")
    # What is left of a unit's index: 0 its convolution, 1 its norm.
    rest = re.sub(r"(^|\.)0\.weight$", r"\1conv3d.weight", rest)
    rest = re.sub(r"(^|\.)1\.(weight|bias|running_mean|running_var|num_batches_tracked)$", r"\1bn.\2", rest)
    return f"feature.{name}.{rest}"


def _slowfast(key: str) -> str:
    key = re.sub(r"^stem\.0\.", "s1.pathway0_stem.conv.", key)
    key = re.sub(r"^stem\.1\.", "s1.pathway0_stem.bn.", key)
    key = re.sub(r"^stages\.(\d)\.(\d+)\.", lambda match: f"s{int(match[1]) + 2}.pathway0_res{match[2]}.", key)
    for number, letter in (("1", "a"), ("2", "b"), ("3", "c")):
        key = key.replace(f".conv{number}.", f".branch2.{letter}.").replace(f".norm{number}.", f".branch2.{letter}_bn.")
    return key.replace(".shortcut.0.", ".branch1.").replace(".shortcut.1.", ".branch1_bn.")


def _unchanged(key: str) -> str:
    return key


_TORCHVISION_RESNET = PublishedLayout(published_name=_unchanged, prefixes=("",), classifiers=("fc.",))
_TORCHVISION_TRANSFORMER = PublishedLayout(published_name=_unchanged, prefixes=("",), classifiers=("head.",))

LAYOUTS = {
    "c3d": PublishedLayout(
        published_name=_c3d,
        prefixes=(*_CLIP_ORDER_PREFIXES, *_RSPNET_PREFIXES),
        classifiers=("linear.",),
        others=(*_RSPNET_OTHERS, *_CLIP_ORDER_OTHERS),
    ),
    "r3d_18": PublishedLayout(
        published_name=_hara, prefixes=_RSPNET_PREFIXES, classifiers=("fc.",), others=_RSPNET_OTHERS
    ),
    "r3d_10": PublishedLayout(
        published_name=_r3d_10,
        prefixes=(*_CLIP_ORDER_PREFIXES, ""),
        classifiers=("linear.",),
        others=_CLIP_ORDER_OTHERS,
    ),
    "r2plus1d_10": PublishedLayout(
        published_name=_r2plus1d_10,
        prefixes=(*_CLIP_ORDER_PREFIXES, *_RSPNET_PREFIXES),
        classifiers=("linear.",),
        others=(*_RSPNET_OTHERS, *_CLIP_ORDER_OTHERS),
    ),
    "s3dg_rspnet": PublishedLayout(
        published_name=_s3dg_rspnet, prefixes=_RSPNET_PREFIXES, classifiers=("fc.",), others=_RSPNET_OTHERS
    ),
    "slow_r50": PublishedLayout(
        published_name=_slowfast,
        prefixes=("backbone.", ""),
        classifiers=("head.",),
        others=("backbone_hist.", "queue_x", "ptr", "iter", "knn_mem."),
    ),
    "torchvision_r3d_18": _TORCHVISION_RESNET,
    "mc3_18": _TORCHVISION_RESNET,
    "r2plus1d_18": _TORCHVISION_RESNET,
    "mvit_v1_b": _TORCHVISION_TRANSFORMER,
    "mvit_v2_s": _TORCHVISION_TRANSFORMER,
    "swin3d_t": _TORCHVISION_TRANSFORMER,
    "swin3d_s": _TORCHVISION_TRANSFORMER,
    "swin3d_b": _TORCHVISION_TRANSFORMER,
}
