"""What a reader is to the benchmark, and what its pictures are compared by."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import cv2
import numpy as np
from rspnet_platform.stream.clip_decoding import draw_views, sample_plan
from rspnet_platform.stream.crops import crop_slices

from rspnet_core.sampling.clip_plan import ClipPlan
from tests.benchmarks.corpora import Corpus
from tests.benchmarks.requests import RECIPE, Request

READER_GROUPS = ("pyav", "decord", "torchcodec")
"""One process each, so that the copies of FFmpeg that libraries bundle never meet."""

Frames = dict[int, np.ndarray]
"""By frame index, uint8 RGB [height, width, 3]."""

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
    together are `order(request)`. Plan, views and crops are drawn and cut as our reader does, in RGB."""

    corpus: Corpus
    read_video: Callable[[str, Request], list[np.ndarray]]
    order: Callable[[Request], list[int]]

    def prepare(self, requests: Sequence[Request]) -> list[tuple[str, Request]]:
        return [(str(self.corpus.sources[request.video.video_index]), request) for request in requests]

    def read(self, prepared: Iterable[tuple[str, Request]]) -> Iterator[tuple[Frames, np.ndarray]]:
        for path, request in prepared:
            plan = sample_plan(request.video, request.epoch, RECIPE)
            frames = [frame for part in self.read_video(path, request) for frame in part]
            by_index = frames_by_index(self.order(request), frames)
            yield by_index, cut_rgb_clips(by_index, plan, request)

    def pictures(self, request: Request, result: tuple[Frames, np.ndarray]) -> Pictures:  # noqa: ARG002
        frames, _ = result
        return {index: gray_of_rgb(frame) for index, frame in frames.items()}


def cut_rgb_clips(frames: Frames, plan: ClipPlan, request: Request) -> np.ndarray:
    """uint8 [num_clips, time, crop_size, crop_size, 3]."""
    height, width = next(iter(frames.values())).shape[:2]
    views = draw_views(plan, replace(request.video, height=height, width=width), request.epoch, RECIPE)
    size = RECIPE.crop_size
    clips = np.empty((len(plan.clips), len(plan.clips[0].frame_indices), size, size, 3), np.uint8)
    for clip, out in zip(plan.clips, clips, strict=True):
        inside = crop_slices(views[clip.augmentation_group].crops[0])
        for index, picture in zip(clip.frame_indices, out, strict=True):
            cv2.resize(frames[index][inside], (size, size), picture, interpolation=cv2.INTER_LINEAR)
    return clips


def clip_order(request: Request) -> list[int]:
    return [index for clip in request.plan.clips for index in clip.frame_indices]


def union_order(request: Request) -> list[int]:
    return request.union


def frames_by_index(order: Sequence[int], frames: Sequence[np.ndarray]) -> Frames:
    if len(order) != len(frames):
        raise ValueError(f"{len(frames)} frames came out where {len(order)} were asked for")
    return dict(zip(order, frames, strict=True))


def gray_of_rgb(frame: np.ndarray) -> np.ndarray:
    return cv2.resize(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)


def gray_of_luma(luma: np.ndarray) -> np.ndarray:
    """Of limited range, which is stretched."""
    small = cv2.resize(luma, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.clip((small - 16) * (255 / 219), 0, 255).astype(np.uint8)
