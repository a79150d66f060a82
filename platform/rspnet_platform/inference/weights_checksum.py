"""SHA-256 of weights, whatever file they lie in, and the check of loaded weights against the one that was recorded."""

import hashlib
import json
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

METADATA_KEY = "weights_sha256"
"""Of a safetensors file's own metadata, where no card lies beside it."""


def weights_sha256(weights: Mapping[str, "Tensor"]) -> str:
    """Of the names, types, shapes and bytes of all tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def check_weights(weights: Mapping[str, "Tensor"], recorded: str, place: str) -> None:
    """Raises ValueError for weights other than those that were recorded. Warns where nothing was: an older version
    wrote none."""
    if not recorded:
        warnings.warn(f"{place} has no recorded SHA-256: its weights are loaded unchecked", stacklevel=2)
        return
    if (found := weights_sha256(weights)) != recorded:
        raise ValueError(
            f"the weights in {place} have SHA-256 {found}, and {recorded} was recorded when they were saved: they were"
            " changed or damaged since. Accepted are the weights as they were saved: fetch them anew, or save"
            " the encoder again"
        )


def recorded_in(data: bytes) -> str:
    """What a safetensors file's metadata says of its weights; nothing where it says nothing."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return header.get("__metadata__", {}).get(METADATA_KEY, "")
