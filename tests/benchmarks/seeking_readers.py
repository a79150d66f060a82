"""decord and torchcodec on the source files. Each is given what makes it fast here: one thread, and scaling to the
size that training uses as it reads, where it can."""

import numpy as np

from tests.benchmarks.corpora import Corpus
from tests.benchmarks.readers import Reader, SourceReader, clip_order, union_order
from tests.benchmarks.requests import Request


def decord_readers(corpus: Corpus) -> dict[str, Reader]:
    import decord

    def opened(path: str, request: Request) -> decord.VideoReader:
        return decord.VideoReader(path, num_threads=1, width=request.video.width, height=request.video.height)

    def per_clip(path: str, request: Request) -> list[np.ndarray]:
        reader = opened(path, request)
        return [reader.get_batch(list(clip.frame_indices)).asnumpy() for clip in request.plan.clips]

    def union(path: str, request: Request) -> list[np.ndarray]:
        return [opened(path, request).get_batch(request.union).asnumpy()]

    return {
        "decord_per_clip": SourceReader(corpus=corpus, read_video=per_clip, order=clip_order),
        "decord_union": SourceReader(corpus=corpus, read_video=union, order=union_order),
    }


def torchcodec_readers(corpus: Corpus) -> dict[str, Reader]:
    """At the source's own size: scaling as it reads is not in all of its versions."""
    import torch
    from torchcodec.decoders import VideoDecoder  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(1)

    def union(path: str, request: Request) -> list[np.ndarray]:
        decoder = VideoDecoder(path, dimension_order="NHWC", num_ffmpeg_threads=1)
        return [decoder.get_frames_at(request.union).data.numpy()]

    return {"torchcodec_union": SourceReader(corpus=corpus, read_video=union, order=union_order)}
