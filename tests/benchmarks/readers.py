"""What a reader is to the benchmark, and what its pictures are compared by."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from tests.benchmarks.corpora import Corpus
from tests.benchmarks.requests import Request

READER_GROUPS = ("pyav", "decord", "torchcodec")
"""One process each, so that the copies of FFmpeg that libraries bundle never meet."""

Pictures = dict[int, np.ndarray]
"""By frame index, uint8 gray pictures [32, 32]: what a reader returned, for comparison with the others."""


class Reader(Protocol):
    def prepare(self, requests: Sequence[Request]) -> Any:
        """What is not timed."""
        ...

    def read(self, prepared: Any) -> Iterator[Any]:
        """What is timed: one result a request."""
        ...

    def pictures(self, request: Request, result: Any) -> Pictures | None:
        """What was returned, once it is known to be complete; None for what is no whole picture.

        Raises ValueError for another number of frames than was asked for.
        """
        ...


def load_readers(group: str, corpus: Corpus) -> dict[str, Reader]:
    """Those of one group. Whatever its library raises as it loads comes out of here."""
    if group == "pyav":
        from tests.benchmarks.pyav_readers import pyav_readers

        return pyav_readers(corpus)
    from tests.benchmarks.seeking_readers import decord_readers, torchcodec_readers

    return {"decord": decord_readers, "torchcodec": torchcodec_readers}[group](corpus)


@dataclass(frozen=True, kw_only=True)
class SourceReader:
    """Reads the corpus' source files by some library: `read_video(path, request)` gives RGB frames in parts that
    together are `order(request)`."""

    corpus: Corpus
    read_video: Callable[[str, Request], list[np.ndarray]]
    order: Callable[[Request], list[int]]

    def prepare(self, requests: Sequence[Request]) -> list[tuple[str, Request]]:
        return [(str(self.corpus.sources[request.video_index]), request) for request in requests]

    def read(self, prepared: Iterable[tuple[str, Request]]) -> Iterator[list[np.ndarray]]:
        for path, request in prepared:
            yield self.read_video(path, request)

    def pictures(self, request: Request, result: list[np.ndarray]) -> Pictures:
        frames = [frame for part in result for frame in part]
        return by_index(self.order(request), [gray_of_rgb(frame) for frame in frames])


def clip_order(request: Request) -> list[int]:
    return [index for clip in request.plan.clips for index in clip.frame_indices]


def union_order(request: Request) -> list[int]:
    return request.union


def by_index(order: Sequence[int], pictures: Sequence[np.ndarray]) -> Pictures:
    if len(order) != len(pictures):
        raise ValueError(f"{len(pictures)} frames came out where {len(order)} were asked for")
    return dict(zip(order, pictures, strict=True))


def gray_of_rgb(frame: np.ndarray) -> np.ndarray:
    return cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)


def gray_of_luma(luma: np.ndarray) -> np.ndarray:
    """Of limited range, which is stretched."""
    small = cv2.resize(luma, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.clip((small - 16) * (255 / 219), 0, 255).astype(np.uint8)
