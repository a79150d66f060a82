"""A clip pack: decoded samples of some videos, kept on storage, so that many runs pay for their decoding once.

A pack has `num_samples_per_video` samples of each video: those of the epochs 0, 1, ... of a run with the pack's seed.
A run that reads it has them in turn: in epoch `e` that of epoch `e % num_samples_per_video`. Only pictures are kept;
colours, flips and blur are drawn for each epoch and seed as ever, and so a run of the pack's own seed and no more
epochs than samples trains on the very bytes that it would have decoded.

    PACK/pack.json                                 written last: without it the pack is being made
    PACK/sample-0000/part-00000.parquet            one row a video; the same videos in each sample's part 0
    PACK/damaged_videos/                           a small file each
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from rspnet_platform import storage
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.clip_decoding import SampleRecipe, sample_num_bytes
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.stream.stream_plan import VideoLocations

PACK_VERSION = 1
PACK_RECORD = "pack.json"
PART_BYTES = 16 * 1024**2
"""Of planes: small enough that a read task holds several, large enough for one request to a store."""

PACK_SCHEMA = pa.schema(
    [
        pa.field("video_index", pa.int64(), nullable=False),
        pa.field("num_frames", pa.int32(), nullable=False),
        pa.field("frames_per_second", pa.float64(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("planes", pa.large_binary()),
        pa.field("damage", pa.string()),
        pa.field("checksum", pa.uint64(), nullable=False),
    ]
)
"""`planes`: uint8 [num_clips, time, crop_size * 3 // 2, crop_size], or null with what is wrong in `damage`."""

Place = tuple[int, int]
"""Part and row."""


@dataclass(frozen=True, kw_only=True)
class PackShare:
    """What one read task takes of a pack: `places` are those of its samples' videos, in their order."""

    uri: str
    seed: int
    num_samples_per_video: int
    places: tuple[Place, ...]


@dataclass(frozen=True, kw_only=True)
class ClipPack:
    """`in_order`: the video indices as they lie, in the order of the shards. `identity`: what decides the pictures."""

    uri: str
    identity: dict[str, Any]
    seed: int
    num_samples_per_video: int
    in_order: np.ndarray
    num_videos_per_part: int
    num_bytes: int

    @classmethod
    def plan(
        cls,
        folder: str,
        dataset: ShardedDataset,
        recipe: SampleRecipe,
        video_indices: np.ndarray,
        *,
        num_samples_per_video: int,
    ) -> "ClipPack":
        """The pack below `folder` that has these samples, made or not: its name is a hash of what decides them."""
        identity = identity_of(dataset, recipe, video_indices, num_samples_per_video)
        name = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
        return cls(
            uri=storage.join(folder, f"clips-{name}"),
            identity=identity,
            seed=recipe.seed,
            num_samples_per_video=num_samples_per_video,
            in_order=np.concatenate(VideoLocations.from_dataset(dataset).by_row_group(video_indices)),
            num_videos_per_part=max(1, PART_BYTES // sample_num_bytes(recipe)),
            num_bytes=num_samples_per_video * len(video_indices) * sample_num_bytes(recipe),
        )

    @property
    def num_parts(self) -> int:
        return -(-len(self.in_order) // self.num_videos_per_part)

    @property
    def is_made(self) -> bool:
        return storage.exists(storage.join(self.uri, PACK_RECORD))

    @property
    def damage(self) -> DamageLedger:
        return DamageLedger(uri=storage.join(self.uri, "damaged_videos"))

    def members(self, part: int) -> np.ndarray:
        first = part * self.num_videos_per_part
        return self.in_order[first : first + self.num_videos_per_part]

    def share(self, video_indices: np.ndarray) -> PackShare:
        position = self._position[video_indices]
        assert (position >= 0).all(), "the pack is of other videos"
        parts, rows = np.divmod(position, self.num_videos_per_part)
        return PackShare(
            uri=self.uri,
            seed=self.seed,
            num_samples_per_video=self.num_samples_per_video,
            places=tuple(zip(parts.tolist(), rows.tolist(), strict=True)),
        )

    @cached_property
    def _position(self) -> np.ndarray:
        """By video index."""
        position = np.full(self.in_order.max() + 1, -1)
        position[self.in_order] = np.arange(len(self.in_order))
        return position


def sample_folder(pack_uri: str, sample: int) -> str:
    return storage.join(pack_uri, f"sample-{sample:04d}")


def part_name(part: int) -> str:
    return f"part-{part:05d}.parquet"


def identity_of(
    dataset: ShardedDataset, recipe: SampleRecipe, video_indices: Sequence[int] | np.ndarray, num_samples: int
) -> dict[str, Any]:
    """Everything that decides a pack's pictures, as JSON has it."""
    description = dataset.description
    identity = {
        "pack_version": PACK_VERSION,
        "dataset_sha256": description.manifest_sha256,
        "profile": description.profile,
        "short_side": description.short_side,
        "reader": recipe.reader.decoder,
        "sampler": told(recipe.sampler),
        "views": [told(view) for view in recipe.views],
        "seed": recipe.seed,
        "num_samples_per_video": num_samples,
        "num_videos": len(video_indices),
        "video_indices_sha256": hashlib.sha256(np.ascontiguousarray(video_indices, np.int64).tobytes()).hexdigest(),
    }
    return json.loads(json.dumps(identity))


def told(config: Any) -> dict[str, Any]:
    """A frozen dataclass by its class and values."""
    return {"class": type(config).__name__, **asdict(config)}
