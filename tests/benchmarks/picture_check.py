"""Whether readers return the same pictures: only then is comparing their speed fair."""

from collections.abc import Mapping, Sequence

import numpy as np
from rspnet_platform.videos.sequential_decoding import open_video

from tests.benchmarks.corpora import Corpus
from tests.benchmarks.reader_process import ReaderError, ReaderProcess
from tests.benchmarks.readers import Pictures, gray_of_luma
from tests.benchmarks.requests import Request

MAX_DIFFERENCE = 12.0
"""Levels of 256, on average: codec error, scaling and colour conversion stay far below."""

MAX_EXCESS = 1.0
"""By how much another frame may resemble a picture more than the one asked for: still scenes repeat themselves."""


def wrong_by_reader(processes: Sequence[ReaderProcess], corpus: Corpus, request: Request) -> dict[str, str]:
    """What is wrong with each reader that fails at this request or returns other pictures than sequential decoding."""
    reference = sequential_pictures(corpus, request)
    wrong = {}
    for process in processes:
        for name in process.names:
            try:
                found = process.pictures(name, request)
            except ReaderError as error:
                wrong[name] = str(error)
                continue
            if found is not None and (indices := wrong_frames(found, reference)):
                wrong[name] = f"{len(indices)} of {len(found)} frames are others than asked for"
    return wrong


def sequential_pictures(corpus: Corpus, request: Request) -> np.ndarray:
    """Every frame of the source, read from the first to the last: float32 [num_frames, 32, 32]."""
    with corpus.sources[request.video.video_index].open("rb") as file, open_video(file, short_side=128) as video:
        return np.stack([gray_of_luma(picture[: len(picture) * 2 // 3]) for picture in video.frames]).astype(np.float32)


def wrong_frames(found: Pictures | Mapping[int, np.ndarray], reference: np.ndarray) -> list[int]:
    """The indices whose picture differs from the reference's, or resembles another one more."""
    wrong = []
    for index, picture in found.items():
        differences = np.abs(reference - picture).mean(axis=(1, 2))
        if differences[index] > MAX_DIFFERENCE or differences[index] > differences.min() + MAX_EXCESS:
            wrong.append(index)
    return wrong
