"""Our reader, libavcodec alone on the same packets, and PyAV from the first frame on."""

from collections.abc import Iterator, Sequence
from typing import Any

import av
import numpy as np
from rspnet_platform.shards.dataset import open_dataset
from rspnet_platform.shards.i420 import frame_planes
from rspnet_platform.shards.packet_reader import decode_frames
from rspnet_platform.shards.row_groups import EncodedVideo, read_videos
from rspnet_platform.stream.clip_decoding import Sample, decode_sample
from rspnet_platform.stream.stream_plan import VideoLocations

from tests.benchmarks.corpora import Corpus
from tests.benchmarks.libavcodec_probe import LibavcodecProbe, NeededPackets, ProbeUnavailableError, needed_packets
from tests.benchmarks.readers import Pictures, Reader, Request, SourceReader, gray_of_luma, union_order
from tests.benchmarks.requests import RECIPE


def pyav_readers(corpus: Corpus) -> dict[str, Reader]:
    """The probe is missing where nothing can compile it."""
    shards = CorpusShards(corpus)
    readers: dict[str, Reader] = {"our_sample": OurSample(shards), "our_decode": OurDecode(shards)}
    try:
        readers["libavcodec"] = Libavcodec(shards, LibavcodecProbe())
    except ProbeUnavailableError as error:
        print(f"without libavcodec's own time: {error}", flush=True)
    readers["pyav_sequential"] = SourceReader(corpus=corpus, read_video=pyav_sequential, order=union_order)
    return readers


class CorpusShards:
    """The corpus' data set: where its videos lie, and all of them in memory."""

    def __init__(self, corpus: Corpus) -> None:
        dataset = open_dataset(corpus.dataset_uri)
        self.uri = dataset.uri
        self.locations = VideoLocations.from_dataset(dataset).of(np.arange(dataset.description.num_videos))
        self.videos = dict(enumerate(self.read(range(len(self.locations)))))

    def read(self, video_indices: Sequence[int]) -> Iterator[EncodedVideo]:
        """Each row group is read once, when its first video is due."""
        groups: dict[tuple[str, int], dict[int, EncodedVideo]] = {}
        for index in video_indices:
            shard, row_group, row = self.locations[index]
            if (shard, row_group) not in groups:
                wanted = [self.locations[other] for other in video_indices]
                rows = sorted({place[2] for place in wanted if place[:2] == (shard, row_group)})
                videos = read_videos(self.uri, shard, row_group, rows)
                groups[shard, row_group] = dict(zip(rows, videos, strict=True))
            yield groups[shard, row_group][row]


class OurSample:
    """All that a decode worker does for a sample: its row out of the shard, checked; plan, union, decoding, crops."""

    def __init__(self, shards: CorpusShards) -> None:
        self.shards = shards

    def prepare(self, requests: Sequence[Request]) -> Sequence[Request]:
        return requests

    def read(self, prepared: Sequence[Request]) -> Iterator[Sample]:
        videos = self.shards.read([request.video.video_index for request in prepared])
        for request, video in zip(prepared, videos, strict=True):
            yield decode_sample(video, request.epoch, RECIPE)

    def pictures(self, request: Request, result: Sample) -> None:
        clips, size = request.plan.clips, RECIPE.crop_size
        expected = (len(clips), len(clips[0].frame_indices), size * 3 // 2, size)
        if result.planes.shape != expected:
            raise ValueError(f"planes of {result.planes.shape} came out where {expected} were asked for")


class OurDecode:
    """`decode_frames` alone: pictures in the decoder's memory, as libavcodec leaves them."""

    def __init__(self, shards: CorpusShards) -> None:
        self.shards = shards

    def prepare(self, requests: Sequence[Request]) -> list[tuple[EncodedVideo, frozenset[int]]]:
        return [(self.shards.videos[request.video.video_index], request.plan.wanted_frames) for request in requests]

    def read(self, prepared: list[tuple[EncodedVideo, frozenset[int]]]) -> Iterator[dict[int, av.VideoFrame]]:
        for video, wanted in prepared:
            yield decode_frames(video.data, video.index, wanted)

    def pictures(self, request: Request, result: dict[int, av.VideoFrame]) -> Pictures:
        found = sorted(result)
        if found != request.union:
            raise ValueError(f"frames {found} came out where {request.union} were asked for")
        return {index: gray_of_luma(frame_planes(frame).luma) for index, frame in result.items()}


class Libavcodec:
    """The packets that our reader feeds, fed from C."""

    def __init__(self, shards: CorpusShards, probe: LibavcodecProbe) -> None:
        self.shards, self.probe = shards, probe

    def prepare(self, requests: Sequence[Request]) -> list[tuple[EncodedVideo, NeededPackets]]:
        videos = [self.shards.videos[request.video.video_index] for request in requests]
        return [
            (video, needed_packets(video.index, request.plan.wanted_frames))
            for video, request in zip(videos, requests, strict=True)
        ]

    def read(self, prepared: list[tuple[EncodedVideo, NeededPackets]]) -> Iterator[int]:
        for video, packets in prepared:
            yield self.probe.decode(video.data, video.index.extradata, packets)

    def pictures(self, request: Request, result: int) -> None:
        [(_, packets)] = self.prepare([request])
        if result != len(packets.offset):
            raise ValueError(f"{result} frames came out of {len(packets.offset)} packets")


def pyav_sequential(path: str, request: Request) -> list[np.ndarray]:
    """To the last wanted frame; only the wanted ones become RGB."""
    wanted, frames = request.plan.wanted_frames, []
    with av.open(path, "r") as container:
        stream: Any = container.streams.best("video")
        stream.codec_context.thread_count = 1
        for index, frame in enumerate(container.decode(stream)):
            if index in wanted:
                frames.append(frame.reformat(request.video.width, request.video.height, "rgb24").to_ndarray())
            if len(frames) == len(wanted):
                break
    return [np.stack(frames)] if frames else []
