"""Pictures of some videos, as they lie in the shards: drawn by a seed, spread over the classes."""

import base64
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from rspnet_core.random_streams import random_stream
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.shards.packet_reader import DamagedVideoError, read_frames
from rspnet_platform.shards.row_groups import EncodedVideo, read_row_group
from rspnet_platform.videos.refusal_reasons import VideoRefusedError
from rspnet_platform.videos.sequential_decoding import open_video

MAX_VIDEOS = 32
MAX_ROW_GROUPS = 12
"""Of 16 MB and more each, so that the sheet costs seconds also from an object store."""
FRAMES_PER_VIDEO = 3
PICTURE_HEIGHT = 120
MAX_PICTURE_WIDTH = 320
JPEG_QUALITY = 82
MAX_DECODED_FRAMES = 900
"""Of a video without a packet index: its frames can only be had one after the other."""

_COLUMNS = (
    *("video_index", "video_id", "label", "split", "num_frames", "frames_per_second"),
    *("input_codec", "input_width", "input_height", "shard", "row_group", "row"),
)


@dataclass(frozen=True, kw_only=True)
class FilmStrip:
    """One video: its row of the table, its frames side by side as a JPEG in base64, or what is wrong with it."""

    video: Mapping[str, Any]
    frame_indices: tuple[int, ...] = ()
    jpeg_base64: str = ""
    width: int = 0
    height: int = 0
    damage: str = ""


def make_contact_sheet(dataset: ShardedDataset, seed: int) -> list[FilmStrip]:
    """At most MAX_VIDEOS strips, sorted by class and name. StorageError when the store fails."""
    by_group: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for video in draw_videos(dataset, seed):
        by_group[video["shard"], video["row_group"]].append(video)
    strips = []
    for (shard, row_group), videos in sorted(by_group.items()):
        strips += _strips_of_row_group(dataset, shard, row_group, videos)
    return sorted(strips, key=lambda strip: (strip.video["label"] or "", strip.video["video_id"]))


def draw_videos(dataset: ShardedDataset, seed: int) -> list[dict[str, Any]]:
    """Rows of the table: from a few row groups, one of each class in turn until the sheet is full."""
    generator = random_stream(seed, 0, 0, "audit/contact_sheet")
    table = dataset.videos.select(list(_COLUMNS))
    places = list(zip(table["shard"].to_pylist(), table["row_group"].to_pylist(), strict=True))
    groups = sorted(set(places))
    chosen = {groups[i] for i in generator.permutation(len(groups))[:MAX_ROW_GROUPS]}
    candidates = [index for index, place in enumerate(places) if place in chosen]
    by_class: dict[str, list[int]] = defaultdict(list)
    labels = table["label"]
    for index in generator.permutation(candidates).tolist():
        by_class[labels[index].as_py() or ""].append(index)
    classes = [sorted(by_class)[i] for i in generator.permutation(len(by_class))]
    drawn = _in_turn([by_class[name] for name in classes])
    return [table.slice(index, 1).to_pylist()[0] for _, index in zip(range(MAX_VIDEOS), drawn, strict=False)]


def _in_turn(lists: Sequence[Sequence[int]]) -> Iterator[int]:
    for position in range(max(map(len, lists), default=0)):
        yield from (members[position] for members in lists if position < len(members))


def _strips_of_row_group(
    dataset: ShardedDataset, shard: str, row_group: int, videos: Sequence[Mapping[str, Any]]
) -> list[FilmStrip]:
    try:
        group = read_row_group(dataset.uri, shard, row_group)
    except DamagedVideoError as error:
        return [FilmStrip(video=video, damage=str(error)) for video in videos]
    strips = []
    for video in videos:
        try:
            strips.append(_strip(video, group.video(video["row"]), dataset.description.short_side))
        except (DamagedVideoError, VideoRefusedError) as error:
            strips.append(FilmStrip(video=video, damage=str(error)))
    return strips


def _strip(video: Mapping[str, Any], encoded: EncodedVideo, short_side: int) -> FilmStrip:
    is_indexed = bool(len(encoded.index.offset))
    num_frames = video["num_frames"] if is_indexed else min(video["num_frames"], MAX_DECODED_FRAMES)
    wanted = sorted({(2 * i + 1) * num_frames // (2 * FRAMES_PER_VIDEO) for i in range(FRAMES_PER_VIDEO)})
    frames = (
        read_frames(encoded.data, encoded.index, wanted) if is_indexed else _read_first(encoded, wanted, short_side)
    )
    picture = np.concatenate([_small_picture(frames[index]) for index in wanted], axis=1)
    is_encoded, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert is_encoded, picture.shape
    return FilmStrip(
        video=video,
        frame_indices=tuple(wanted),
        jpeg_base64=base64.b64encode(jpeg.tobytes()).decode(),
        width=picture.shape[1],
        height=picture.shape[0],
    )


def _read_first(encoded: EncodedVideo, wanted: Sequence[int], short_side: int) -> dict[int, np.ndarray]:
    frames: dict[int, np.ndarray] = {}
    with open_video(bytes(encoded.data), short_side=short_side) as video:
        for index, frame in enumerate(video.frames):
            if index in wanted:
                frames[index] = frame
            if index == wanted[-1]:
                return frames
    raise DamagedVideoError(f"frame {wanted[-1]} did not come out")


def _small_picture(planes: np.ndarray) -> np.ndarray:
    """BGR, as JPEG encoding wants it; very wide pictures get lower instead of growing the page."""
    picture = cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420)
    height, width = picture.shape[:2]
    scale = min(PICTURE_HEIGHT / height, MAX_PICTURE_WIDTH / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
