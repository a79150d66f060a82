"""The frames of one clip, and what happens past the end of the video."""

from typing import Literal, get_args

import numpy as np

PastTheEnd = Literal["loop", "clamp", "reject"]


def clip_span(num_frames_per_clip: int, frame_stride: int) -> int:
    """Frames from a clip's first to its last, both counted: 16 frames at stride 2 span 31."""
    return (num_frames_per_clip - 1) * frame_stride + 1


def frame_indices(
    *, start: int, num_frames_per_clip: int, frame_stride: int, num_frames: int, past_the_end: PastTheEnd
) -> tuple[int, ...]:
    """`num_frames_per_clip` indices from `start` on, `frame_stride` apart, all inside a video of
    `num_frames`.

    Past the end, "loop" starts the video again (a visible cut), "clamp" repeats the last frame (a still), and
    "reject" raises ValueError.
    """
    check_past_the_end(past_the_end)
    if num_frames < 1 or not 0 <= start < num_frames:
        raise ValueError(f"start {start} is outside a video of {num_frames} frames: accepted are 0 to num_frames - 1")
    indices = start + frame_stride * np.arange(num_frames_per_clip)
    if indices[-1] >= num_frames:
        if past_the_end == "reject":
            raise ValueError(
                f"a clip of {num_frames_per_clip} frames at stride {frame_stride} from frame {start} ends at "
                f"frame {indices[-1]}, past a video of {num_frames} frames; accepted with past_the_end="
                "'loop' or 'clamp'"
            )
        indices = indices % num_frames if past_the_end == "loop" else np.minimum(indices, num_frames - 1)
    return tuple(indices.tolist())


def check_past_the_end(policy: str) -> None:
    """Raises ValueError for a policy that does not exist."""
    if policy not in get_args(PastTheEnd):
        raise ValueError(f"past_the_end is {policy!r}; accepted are {', '.join(get_args(PastTheEnd))}")
