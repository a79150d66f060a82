"""What an input file was, as its container and its decoder say."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class InputFacts:
    """`height` and `width` are before rotation and scaling; `num_frames` counts decoded frames, `num_frames_promised`
    what the container says, None where it says nothing; `num_time_jumps` how often its clock was set forward."""

    codec: str
    pixel_format: str
    height: int
    width: int
    frames_per_second: float
    num_frames: int
    num_frames_promised: int | None
    num_bytes: int
    num_time_jumps: int

    def to_row(self) -> dict[str, Any]:
        """The columns `input_*` of `videos.parquet`."""
        return {f"input_{name}": value for name, value in vars(self).items()}
