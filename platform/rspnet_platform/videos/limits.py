"""What one untrusted video may cost. Imports nothing heavy: a job's `--help` reads it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class VideoLimits:
    """What one untrusted video may cost; beyond it the video is refused as `over_limit`."""

    max_num_frames: int = 36_000
    max_pixels_per_frame: int = 8192 * 4320
    max_input_bytes: int = 4 * 1024**3

    def __post_init__(self) -> None:
        for name in ("max_num_frames", "max_pixels_per_frame", "max_input_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; accepted: 1 or more")
