"""The kinds of projection head; apart from the heads, because `--help` reads it and it imports no torch."""

from typing import Literal, get_args

HeadKind = Literal["linear", "mlp", "mlp_3", "mlp_4_batch_norm"]
"""See `encoders.projection_head`."""

HEAD_KINDS: tuple[str, ...] = get_args(HeadKind)
