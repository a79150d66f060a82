"""Samples out of a clip pack, in place of decoding them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from rspnet_core.sampling.clip_plan import VideoInfo
from rspnet_platform import storage
from rspnet_platform.shards.packet_reader import DamagedVideoError
from rspnet_platform.stream.clip_decoding import Sample, SampleRecipe, draw_views, sample_of, sample_plan
from rspnet_platform.stream.clip_pack import PACK_SCHEMA, PackShare, part_name, sample_folder
from rspnet_platform.stream.held_until_last_use import HeldUntilLastUse


def packed_samples(
    share: PackShare, video_indices: Sequence[int], epochs: Sequence[int], recipe: SampleRecipe
) -> Iterator[Sample | DamagedVideoError]:
    """Of each video in its epoch, by the recipe that the pack was made with, but for the seed. StorageError where the
    pack is not whole."""
    files = [(epoch % share.num_samples_per_video, part) for epoch, (part, _) in zip(epochs, share.places, strict=True)]
    parts = HeldUntilLastUse(lambda file: read_part(part_uri(share.uri, *file)), files)
    of_the_pack = replace(recipe, seed=share.seed)
    for video_index, epoch, file, (_, row) in zip(video_indices, epochs, files, share.places, strict=True):
        try:
            info, planes = picture_row(parts.take(file), row, video_index, recipe)
        except DamagedVideoError as error:
            yield error
            continue
        plan = sample_plan(info, file[0], of_the_pack)
        yield sample_of(plan, draw_views(plan, info, epoch, recipe), planes)


def part_uri(pack_uri: str, sample: int, part: int) -> str:
    return storage.join(sample_folder(pack_uri, sample), part_name(part))


def read_part(uri: str) -> pa.RecordBatch:
    try:
        table = pq.read_table(pa.BufferReader(storage.read_bytes(uri)), use_threads=False, pre_buffer=False)
        return table.cast(PACK_SCHEMA).combine_chunks().to_batches()[0]
    except (FileNotFoundError, pa.ArrowException, ValueError, IndexError) as error:
        raise storage.StorageError(
            f"{uri} is no readable part of a clip pack: {error}; accepted is a whole pack, or none: without its folder "
            "the same command makes it anew"
        ) from error


def picture_row(
    batch: pa.RecordBatch, row: int, video_index: int, recipe: SampleRecipe
) -> tuple[VideoInfo, np.ndarray]:
    """What is known of the video, and its planes, which share the part's memory. DamagedVideoError for a video that
    could not be decoded, and for a row that is not what was written."""
    values = {name: batch.column(name)[row] for name in PACK_SCHEMA.names}
    if (damage := values["damage"].as_py()) is not None:
        raise DamagedVideoError(damage)
    info = VideoInfo(
        **{name: values[name].as_py() for name in ("video_index", "num_frames", "frames_per_second", "height", "width")}
    )
    data = memoryview(values["planes"].as_buffer())
    if info.video_index != video_index or planes_checksum(info, data) != values["checksum"].as_py():
        raise DamagedVideoError(f"row {row} of a clip pack, of video {video_index}, is not what was written")
    sampler, size = recipe.sampler, recipe.crop_size
    return info, np.frombuffer(data, np.uint8).reshape(
        sampler.num_clips, sampler.num_frames_per_clip, size * 3 // 2, size
    )


def planes_checksum(info: VideoInfo, planes: bytes | memoryview) -> int:
    """xxh3_64 of the video's numbers and of the planes."""
    digest = xxhash.xxh3_64(repr((info.video_index, info.num_frames, info.height, info.width)).encode())
    digest.update(planes)
    return digest.intdigest()
