"""Which way up a video is shown: the eight ways of turning and mirroring that a container can ask for."""

from collections.abc import Mapping
from dataclasses import dataclass

import av
import numpy as np
from av.sidedata.sidedata import Type
from jaxtyping import UInt8


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """How a decoded picture becomes upright: transposed, then mirrored left to right, then flipped upside down."""

    is_transposed: bool = False
    is_mirrored: bool = False
    is_flipped: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame, stream_metadata: Mapping[str, str]) -> "Orientation":
        """From the display matrix, else from the tag `rotate` (degrees clockwise) that older files carry.

        Angles between are rounded to the nearest quarter turn; a matrix without any direction counts as upright.
        """
        try:
            matrix = frame.side_data.get(Type.DISPLAYMATRIX.name)
        except ValueError:  # PyAV does not know some other side data of the frame; what is turned it tells all the same
            return cls._turned(-frame.rotation)
        if matrix is not None:
            return cls._of_matrix(np.frombuffer(matrix, np.int32).astype(np.int64))
        tags = {name.lower(): value for name, value in stream_metadata.items()}
        try:
            return cls._turned(float(tags.get("rotate", 0)))
        except (ValueError, OverflowError):
            return cls()

    @classmethod
    def _turned(cls, degrees_clockwise: float) -> "Orientation":
        return (
            cls(),
            cls(is_transposed=True, is_mirrored=True),
            cls(is_mirrored=True, is_flipped=True),
            cls(is_transposed=True, is_flipped=True),
        )[round(degrees_clockwise / 90) % 4]

    @classmethod
    def _of_matrix(cls, matrix: np.ndarray) -> "Orientation":
        """A point (x, y) is shown at (a x + c y, b x + d y)."""
        a, b, c, d = matrix[[0, 1, 3, 4]].tolist()
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(is_transposed=True, is_mirrored=c < 0, is_flipped=b < 0)
        return cls(is_mirrored=a < 0, is_flipped=d < 0)

    def apply(self, picture: UInt8[np.ndarray, "planes_height width"]) -> UInt8[np.ndarray, "planes_height width"]:
        """The upright picture, in I420 as the given one: each plane is turned by itself."""
        if self == Orientation():
            return picture
        height, width = picture.shape[0] * 2 // 3, picture.shape[1]
        luma, chroma = picture[:height], picture[height:].reshape(2, height // 2, width // 2)
        flat = np.concatenate([self._turn(plane).reshape(-1) for plane in (luma, *chroma)])
        return flat.reshape(-1, height if self.is_transposed else width)

    def _turn(self, plane: np.ndarray) -> np.ndarray:
        turned = plane.T if self.is_transposed else plane
        turned = turned[:, ::-1] if self.is_mirrored else turned
        return turned[::-1] if self.is_flipped else turned
