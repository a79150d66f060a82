"""Making a clip pack on Ray: each video is decoded once for several of its samples, and what is written stays."""

import io
import os
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray

from rspnet_core.sampling.clip_plan import VideoInfo
from rspnet_platform import storage
from rspnet_platform.shards.packet_reader import DamagedVideoError
from rspnet_platform.shards.row_groups import EncodedVideo
from rspnet_platform.stream.clip_dataset import MAX_DECODE_RETRIES
from rspnet_platform.stream.clip_decoding import Sample, SampleRecipe, decode_visit
from rspnet_platform.stream.clip_pack import PACK_RECORD, PACK_SCHEMA, ClipPack, part_name, sample_folder
from rspnet_platform.stream.clip_pack_reading import part_uri, planes_checksum
from rspnet_platform.stream.loaded_row_groups import LoadedRowGroups
from rspnet_platform.stream.stream_plan import VideoLocations
from rspnet_platform.waiting_bar import waiting_bar

NUM_SAMPLES_AT_ONCE = 8
"""Parts of so many samples are in a task's memory together: 128 MiB."""


@dataclass(frozen=True, kw_only=True)
class PackWriter:
    """All that the tasks need. Travels to them."""

    pack: ClipPack
    dataset_uri: str
    locations: VideoLocations
    recipe: SampleRecipe

    def write(self, part: int, samples: Sequence[int]) -> int:
        """One part of each of `samples`. Returns how many were written."""
        videos = self.read_videos(part)
        for first in range(0, len(samples), NUM_SAMPLES_AT_ONCE):
            some = samples[first : first + NUM_SAMPLES_AT_ONCE]
            rows = [self.rows_of(video, some) for video in videos]
            for place, sample in enumerate(some):
                write_part(part_uri(self.pack.uri, sample, part), [of_video[place] for of_video in rows])
        return len(samples)

    def read_videos(self, part: int) -> list[EncodedVideo | tuple[int, DamagedVideoError]]:
        members = self.pack.members(part)
        locations = self.locations.of(members)
        row_groups = LoadedRowGroups(self.dataset_uri, locations)
        videos: list[EncodedVideo | tuple[int, DamagedVideoError]] = []
        for video_index, location in zip(members.tolist(), locations, strict=True):
            try:
                videos.append(row_groups.take(location, video_index))
            except DamagedVideoError as error:
                videos.append((video_index, error))
        return videos

    def rows_of(
        self, video: EncodedVideo | tuple[int, DamagedVideoError], samples: Sequence[int]
    ) -> list[dict[str, Any]]:
        """Of one video, a row for each sample; its damage is entered in the pack's ledger too."""
        if isinstance(video, EncodedVideo):
            video_index = video.info.video_index
            outcomes: Sequence[Any] = decode_visit(video, samples, self.recipe)
        else:
            video_index, error = video
            outcomes = [error] * len(samples)
        rows = []
        for sample, outcome in zip(samples, outcomes, strict=True):
            if isinstance(outcome, Sample):
                assert isinstance(video, EncodedVideo)
                rows.append(sound_row(video.info, outcome.planes))
            else:
                self.pack.damage.enter(video_index, epoch=sample, error=str(outcome))
                rows.append(damaged_row(video_index, str(outcome)))
        return rows


def sound_row(info: VideoInfo, planes: np.ndarray) -> dict[str, Any]:
    data = planes.tobytes()
    return {**vars(info), "planes": data, "damage": None, "checksum": planes_checksum(info, data)}


def damaged_row(video_index: int, damage: str) -> dict[str, Any]:
    numbers = {"num_frames": 0, "frames_per_second": 0.0, "height": 0, "width": 0, "checksum": 0}
    return {"video_index": video_index, **numbers, "planes": None, "damage": damage}


def write_part(uri: str, rows: list[dict[str, Any]]) -> None:
    """Whole or not at all. Pictures are kept as they are: compressed they shrink little and read slowly."""
    with io.BytesIO() as buffer:
        table = pa.Table.from_pylist(rows, schema=PACK_SCHEMA)
        pq.write_table(table, buffer, compression="none", use_dictionary=False, write_statistics=False)
        storage.write_bytes(uri, buffer.getvalue())


def fill_pack(writer: PackWriter, *, cpus_per_task: float) -> None:
    """Writes the parts that are missing, on the Ray that this process is connected to. Raises ValueError where this
    machine's disk is too small for them, and what went wrong in a task."""
    pack = writer.pack
    missing = missing_parts(pack)
    num_left = sum(map(len, missing.values()))
    check_disk(pack, num_left)
    write = ray.remote(num_cpus=cpus_per_task, max_retries=MAX_DECODE_RETRIES)(PackWriter.write)
    on_ray = ray.put(writer)
    waiting = [write.remote(on_ray, part, samples) for part, samples in missing.items()]
    with waiting_bar(
        "decoding clips", "part", total=pack.num_parts * pack.num_samples_per_video, num_left=num_left
    ) as bar:
        while waiting:
            [done], waiting = ray.wait(waiting, num_returns=1)
            bar.update(ray.get(done))
    storage.delete_partial_files(pack.uri)  # of tasks that were killed as they wrote


def finish_pack(pack: ClipPack) -> None:
    """Says that nothing is missing: from here on runs read it."""
    storage.write_json(storage.join(pack.uri, PACK_RECORD), pack.identity | {"num_damaged_videos": pack.damage.count()})


def missing_parts(pack: ClipPack) -> dict[int, list[int]]:
    """By part, the samples of it that are not there."""
    missing: dict[int, list[int]] = defaultdict(list)
    for sample in range(pack.num_samples_per_video):
        there = set(storage.list_names(sample_folder(pack.uri, sample)))
        for part in range(pack.num_parts):
            if part_name(part) not in there:
                missing[part].append(sample)
    return dict(sorted(missing.items()))


def empty_pack(pack: ClipPack) -> None:
    """Deletes the parts, and keeps the list of damaged videos."""
    for sample in range(pack.num_samples_per_video):
        storage.delete_folder(sample_folder(pack.uri, sample))


def check_disk(pack: ClipPack, num_parts_left: int) -> None:
    """Of a local pack; nobody knows how much an object store takes."""
    if storage.is_remote(pack.uri):
        return
    folder = os.path.dirname(pack.uri)
    os.makedirs(folder, exist_ok=True)
    free = shutil.disk_usage(folder).free
    num_bytes_left = pack.num_bytes * num_parts_left / (pack.num_parts * pack.num_samples_per_video)
    if num_bytes_left > free:
        raise ValueError(
            f"{pack.num_samples_per_video} decoded samples of each of {len(pack.in_order)} videos take "
            f"{num_bytes_left / 1024**3:.1f} GiB more, and {folder} has {free / 1024**3:.1f} GiB left; accepted are "
            "fewer samples or videos, or a larger place"
        )
