"""Whether a video decodes to the same pictures twice.

Where a damaged picture ends early some decoders say nothing and leave in it what was in the memory before: another
picture each time, that nobody put into the video. A second decode with other buffers shows it.
"""

from array import array
from collections.abc import Iterable, Iterator

import numpy as np
import xxhash

from rspnet_platform.videos.limits import DamageTolerance
from rspnet_platform.videos.refusal_reasons import RefusalReason, VideoRefusedError

NUM_FRAMES_HELD = 8
"""The second decode keeps so many frames, lest the decoder write the next into the same memory as in the first."""

# Measured: all pictures of 364 damaged videos of these came out the same; those of 35 of 78 in mjpeg, of 14 of 32 in
# vp8 and of 1 of 41 in hevc did not. Codecs that nobody measured are decoded twice.
_REPRODUCIBLE_CODECS = frozenset({"h264", "mpeg4", "mpeg2video", "vp9", "flv", "wmv2"})


def needs_second_decode(codec: str) -> bool:
    """Whether libav's decoder of this name may return another picture each time."""
    return codec not in _REPRODUCIBLE_CODECS


class PictureChecksums:
    """8 bytes for each picture of a video."""

    def __init__(self) -> None:
        self._checksums = array("Q")

    def recorded(self, pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The pictures, each remembered as it passes."""
        for picture in pictures:
            self._checksums.append(_checksum(picture))
            yield picture

    def compare(self, pictures: Iterable[np.ndarray], tolerance: DamageTolerance) -> None:
        """Raises VideoRefusedError where more pictures of the second decode differ than may be damaged."""
        again = array("Q", map(_checksum, pictures))
        num_frames = len(self._checksums)
        num_different = sum(a != b for a, b in zip(self._checksums, again, strict=False))
        num_different += abs(num_frames - len(again))
        if num_different > tolerance.max_damaged_fraction * num_frames:
            detail = (
                f"{num_different} of {num_frames} frames are another picture each time that they are decoded;"
                f" accepted: up to {tolerance.max_damaged_fraction:.1%} (max_damaged_fraction)"
            )
            raise VideoRefusedError(RefusalReason.DAMAGED, detail)


def _checksum(picture: np.ndarray) -> int:
    return xxhash.xxh3_64_intdigest(np.ascontiguousarray(picture).data)
