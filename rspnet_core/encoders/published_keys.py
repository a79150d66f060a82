"""Encoders to and from published checkpoints: the same tensors under other names, all of them or an error.

Read a published file with `torch.load(path, weights_only=True)` and hand over the mapping of tensors in it: RSPNet's
and the fine-tuned ones under "model", 3D-ResNets' under "state_dict", SlowFast's under "model_state". Which
repositories' names are known, and what they were checked against: `published_layouts`.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from rspnet_core.encoders import build_encoder, check_encoder_name
from rspnet_core.encoders.published_layouts import LAYOUTS, PublishedLayout

NUM_NAMED = 3
COUNTER = "num_batches_tracked"
DATA_PARALLEL = "module."


def from_published(encoder_name: str, state_dict: Mapping[str, object]) -> dict[str, Tensor]:
    """What `load_state_dict` of our encoder takes, strictly.

    Of RSPNet's and MoCo's checkpoints the query encoder is taken. Left out are a classifier, heads, queues and key
    encoders, whose names are known; anything else unexpected, missing, or of another shape is a ValueError that
    names the first of each. A checkpoint without any batch norm counter, as PyTorch wrote them before 0.4.1, gets
    zeros (they are read where momentum is None, which is nowhere here).
    """
    layout = _layout(encoder_name)
    expected = _expected(encoder_name)
    published = _tensors(encoder_name, state_dict)
    prefix = _prefix(encoder_name, layout, expected, published)
    names = {key: prefix + layout.published_name(key) for key in expected}
    if not any(name.endswith(COUNTER) for name in published):
        zeros = {name: torch.zeros((), dtype=torch.int64) for name in names.values() if name.endswith(COUNTER)}
        published = published | zeros
    left_out = tuple(prefix + start for start in layout.classifiers) + layout.others
    known = set(names.values())
    _refuse_differences(
        encoder_name,
        missing=[name for name in names.values() if name not in published],
        unexpected=[name for name in published if name not in known and not name.startswith(left_out)],
        of_other_shape=[
            f"{name} of {tuple(published[name].shape)} for {tuple(expected[key].shape)}"
            for key, name in names.items()
            if name in published and published[name].shape != expected[key].shape
        ],
    )
    return {key: published[name] for key, name in names.items()}


def to_published(encoder_name: str, state_dict: Mapping[str, Tensor], *, prefix: str = "") -> dict[str, Tensor]:
    """Our encoder's tensors under published names, each after `prefix` ("encoder_q.encoder." for RSPNet's
    pretraining checkpoints). Heads and classifiers are not part of an encoder and are not made up. ValueError where
    `state_dict` is not that of the encoder."""
    layout = _layout(encoder_name)
    expected = _expected(encoder_name)
    _refuse_differences(
        encoder_name,
        missing=[key for key in expected if key not in state_dict],
        unexpected=[key for key in state_dict if key not in expected],
        of_other_shape=[
            f"{key} of {tuple(state_dict[key].shape)} for {tuple(tensor.shape)}"
            for key, tensor in expected.items()
            if key in state_dict and state_dict[key].shape != tensor.shape
        ],
    )
    return {prefix + layout.published_name(key): tensor for key, tensor in state_dict.items()}


def _layout(encoder_name: str) -> PublishedLayout:
    check_encoder_name(encoder_name)
    if encoder_name not in LAYOUTS:
        raise ValueError(
            f"no published checkpoint is known to fit encoder {encoder_name!r}; accepted are {', '.join(LAYOUTS)}"
        )
    return LAYOUTS[encoder_name]


def _expected(encoder_name: str) -> dict[str, Tensor]:
    """Names and shapes alone: nothing is allocated or drawn."""
    with torch.device("meta"):
        return build_encoder(encoder_name).state_dict()


def _tensors(encoder_name: str, state_dict: Mapping[str, object]) -> dict[str, Tensor]:
    """Without what DataParallel puts before every name."""
    tensors = {name: value for name, value in state_dict.items() if isinstance(value, Tensor)}
    if not tensors or len(tensors) < len(state_dict):
        others = [name for name in state_dict if name not in tensors]
        raise ValueError(
            f"checkpoint for encoder {encoder_name!r} holds {_first(others) or 'nothing'}; accepted is a mapping of "
            "names to tensors (often the part of the file under 'model', 'state_dict' or 'model_state')"
        )
    if all(name.startswith(DATA_PARALLEL) for name in tensors):
        return {name.removeprefix(DATA_PARALLEL): tensor for name, tensor in tensors.items()}
    return tensors


def _prefix(
    encoder_name: str, layout: PublishedLayout, expected: Mapping[str, Tensor], published: Mapping[str, Tensor]
) -> str:
    first = layout.published_name(next(iter(expected)))
    for prefix in layout.prefixes:
        if prefix + first in published:
            return prefix
    wanted = ", ".join(repr(prefix + first) for prefix in layout.prefixes)
    raise ValueError(
        f"checkpoint does not fit encoder {encoder_name!r}: it holds {_first(list(published))}; accepted is one with "
        f"any of {wanted}"
    )


def _refuse_differences(
    encoder_name: str, *, missing: list[str], unexpected: list[str], of_other_shape: list[str]
) -> None:
    differences = {"missing": missing, "unexpected": unexpected, "of another shape": of_other_shape}
    found = [f"{len(names)} {kind} ({_first(names)})" for kind, names in differences.items() if names]
    if found:
        raise ValueError(f"checkpoint does not fit encoder {encoder_name!r}: {'; '.join(found)}")


def _first(names: list[str]) -> str:
    return ", ".join(names[:NUM_NAMED]) + (", ..." if len(names) > NUM_NAMED else "")
