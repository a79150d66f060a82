"""Embeddings as files: which videos are in which part, what counts as finished, what is refused."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from rspnet_platform.inference.embedding_actor import plan_embedding
from rspnet_platform.inference.embedding_clips import EachClipInEachCrop, embedding_recipe, input_for
from rspnet_platform.inference.embedding_config import EmbedConfig
from rspnet_platform.inference.embedding_job import Embedding
from rspnet_platform.inference.embedding_parts import EmbeddingParts
from rspnet_platform.inference.encoder_files import build_seeded, save_encoder
from rspnet_platform.inference.video_parts import PartsLeft, in_parts
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.cpu_budget import BudgetError
from rspnet_platform.stream.stream_plan import VideoLocations

from rspnet_core.sampling.clip_plan import VideoInfo
from rspnet_core.sampling.evenly_spaced import EvenlySpacedSampler
from tests.simulated_run import make_locations
from tests.small_encoder import CARD

ASKED = np.array([0, 1, 2, 3, 4, 5, 6, 9, 10, 11])


@pytest.fixture
def parts(small_dataset: ShardedDataset, tmp_path: Path) -> EmbeddingParts:
    return EmbeddingParts.plan(
        str(tmp_path / "out"), small_dataset, ASKED, num_videos_per_part=4, feature_dim=2, request_sha256="abc"
    )


def vectors(video_indices: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.array([[video, -video] for video in video_indices], np.float32).reshape(-1, 2)


def batches(*videos: Sequence[int]) -> Iterator[dict[str, np.ndarray]]:
    for some in videos:
        yield {"video_index": np.array(some), "embedding": vectors(some)}


def test_each_video_is_in_one_part_in_the_order_of_the_shards(parts: EmbeddingParts) -> None:
    """Ten videos in parts of four: 4, 4 and 2, whose row groups follow each other."""
    assert [len(members) for members in parts.members] == [4, 4, 2]
    in_order = np.concatenate(parts.members)
    assert sorted(in_order.tolist()) == ASKED.tolist()
    locations = VideoLocations.from_dataset(parts.dataset).of(in_order)
    assert [place[:2] for place in locations] == sorted(place[:2] for place in locations)


@pytest.mark.parametrize(("num_videos", "block", "sizes"), [(150, 8, [64, 64, 22]), (64, 7, [63, 1]), (3, 100, [3])])
def test_a_read_task_is_of_one_part(num_videos: int, block: int, sizes: list[int]) -> None:
    """Also where a part ends with less than a task could take; blocks fill tasks."""
    first, second = np.arange(num_videos)[::-1], np.arange(num_videos, num_videos + 5)
    plan = PartsLeft(
        dataset_uri="", locations=make_locations(200, 10), members=[first, second], num_rows_per_block=block
    )
    shares = [videos.tolist() for _, videos in plan.execution(0).in_shares()]
    assert [len(share) for share in shares] == [*sizes, 5]
    assert [video for share in shares for video in share] == [*first.tolist(), *second.tolist()]
    assert plan.num_samples_left == num_videos + 5


def test_a_part_comes_once_all_of_it_is_there() -> None:
    """Over the ends of batches, without damaged videos, and empty where all of its videos are damaged."""
    members = [np.array([4, 5]), np.array([6, 7]), np.array([1]), np.array([2, 3]), np.array([8])]
    seen: list[str] = []

    def told() -> Iterator[dict[str, np.ndarray]]:
        for batch in batches([4], [5, 6, 7, 2], [3]):
            seen.append(f"batch {batch['video_index'].tolist()}")
            yield batch

    for part, rows in in_parts(told(), [0, 2, 5, 6, 9], members):
        indices = rows["video_index"]
        seen.append(f"part {part} {indices.tolist()}")
        assert set(rows) == ({"video_index", "embedding"} if len(indices) else {"video_index"})
        np.testing.assert_array_equal(rows.get("embedding", vectors([])), vectors(indices))
    assert seen == [
        *("batch [4]", "batch [5, 6, 7, 2]", "part 0 [4, 5]", "part 2 [6, 7]", "part 5 []"),
        *("batch [3]", "part 6 [2, 3]", "part 9 []"),
    ]


def test_rows_in_another_order_are_an_error() -> None:
    """Rather than a part without its videos."""
    with pytest.raises(AssertionError, match="another order"):
        list(in_parts(batches([1], [0]), [0, 1], [np.array([0]), np.array([1])]))


def test_what_is_written_is_finished(parts: EmbeddingParts) -> None:
    """With the data set's own ids and labels, vectors of one length, and the same bytes each time."""
    assert parts.unfinished() == [0, 1, 2]
    parts.write(1, parts.members[1], vectors(parts.members[1]))
    assert parts.unfinished() == [0, 2]
    table = pq.read_table(parts.uri(1))
    assert table.schema.equals(parts.schema)
    videos = parts.dataset.videos.sort_by("video_index").to_pylist()
    for row in table.to_pylist():
        expected = videos[row["video_index"]]
        assert (row["video_id"], row["label"], row["split"]) == (expected["video_id"], expected["label"], None)
        assert row["embedding"] == [row["video_index"], -row["video_index"]]
    first = Path(parts.uri(1)).read_bytes()
    parts.write(1, parts.members[1], vectors(parts.members[1]))
    assert Path(parts.uri(1)).read_bytes() == first


def test_a_video_is_missing_only_with_a_reason(parts: EmbeddingParts) -> None:
    """A part without a video that is not damaged is neither written nor taken as finished; of another order neither."""
    some = parts.members[0][1:]
    for videos in (some, parts.members[0][::-1], parts.members[1], np.repeat(parts.members[0], 2)):
        with pytest.raises(ValueError, match=r"part-00000\.parquet should hold 4 videos"):
            parts.write(0, videos, vectors(videos))
    parts.damage.enter(int(parts.members[0][0]), epoch=0, error="zeros")
    parts.write(0, some, vectors(some))
    assert parts.unfinished() == [1, 2]
    Path(parts.damage.uri, f"{parts.members[0][0]}.json").unlink()
    with pytest.raises(ValueError, match="should hold 4 videos and has 3; 1 are missing"):
        parts.unfinished()


def test_an_empty_part_is_a_part(parts: EmbeddingParts) -> None:
    """All its videos are damaged."""
    for video in parts.members[2].tolist():
        parts.damage.enter(video, epoch=0, error="zeros")
    parts.write(2, np.zeros(0, np.int64), np.zeros((0, 0), np.float32))
    assert parts.unfinished() == [0, 1]
    assert pq.read_table(parts.uri(2)).schema.equals(parts.schema)


def test_parts_of_something_else_are_refused(parts: EmbeddingParts) -> None:
    """Of another request, and no Parquet at all."""
    parts.write(0, parts.members[0], vectors(parts.members[0]))
    with pytest.raises(ValueError, match="is of other embeddings"):
        replace(parts, request_sha256="def").unfinished()
    Path(parts.uri(0)).write_bytes(b"PAR1")
    with pytest.raises(OSError, match="is not a readable Parquet file"):
        parts.unfinished()


def config(dataset: ShardedDataset, folder: Path, **changes) -> EmbedConfig:
    return replace(EmbedConfig(model="random:tiny", data=dataset.uri, output=str(folder / "out")), **changes)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"model": "random:tiny:1"}, "model_sha256"),
        ({"num_clips": 3}, "input"),
        ({"num_crops": 3}, "num_crops 1, not 3"),
        ({"num_videos_per_part": 5}, "num_videos_per_part 256, not 5"),
    ],
)
def test_an_output_is_of_one_request(small_dataset: ShardedDataset, tmp_path: Path, changes, difference) -> None:
    """Another model or view of the same data set is refused; the same, under another name, goes on."""
    Embedding.settle(config(small_dataset, tmp_path)).begin()
    with pytest.raises(ValueError, match=rf"embeddings\.json is of other embeddings: .*{difference}"):
        Embedding.settle(config(small_dataset, tmp_path, **changes))
    again = Embedding.settle(config(small_dataset, tmp_path, model="random:tiny:0")).begin()
    assert again.left == (0,)


def test_another_data_set_is_refused(small_dataset: ShardedDataset, tmp_path: Path) -> None:
    """By the hash of what is in it, and the version that would be accepted is named."""
    Embedding.settle(config(small_dataset, tmp_path)).begin()
    path = tmp_path / "out" / "embeddings.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"dataset_sha256": "0" * 64}))
    with pytest.raises(ValueError, match=r"dataset_sha256 '0+', not .*\(--version 1\)"):
        Embedding.settle(config(small_dataset, tmp_path)).begin()
    path.write_text("[]")
    with pytest.raises(ValueError, match="is not a record of embeddings"):
        Embedding.settle(config(small_dataset, tmp_path)).begin()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "random:huge"}, "encoder is 'huge'; accepted are"),
        ({"data": "/nothing"}, "/nothing is not a data set"),
        ({"decoder": "decord"}, "data.decoder is 'decord'"),
        ({"version": 3}, "has no version 3"),
    ],
)
def test_what_cannot_be_embedded_is_refused_before_anything_starts(
    small_dataset: ShardedDataset, tmp_path: Path, changes, message
) -> None:
    """And leaves no output behind."""
    with pytest.raises(ValueError, match=message):
        Embedding.settle(config(small_dataset, tmp_path, **changes))
    assert not (tmp_path / "out").exists()


def test_settings_out_of_range_are_refused() -> None:
    """When the config is built."""
    for change in ({"num_clips": 0}, {"num_videos_per_part": 0}, {"num_actors": 0}, {"num_crops": 2}):
        [(name, value)] = change.items()
        with pytest.raises(ValueError, match=f"{name} is {value}; accepted are"):
            EmbedConfig(model="m", data="d", output="o", **change)  # pyright: ignore[reportArgumentType]


def test_nothing_but_damaged_videos_is_an_error(small_dataset: ShardedDataset, tmp_path: Path) -> None:
    """That says where they are listed."""
    embedding = Embedding.settle(config(small_dataset, tmp_path)).begin()
    for video in range(24):
        embedding.parts.damage.enter(video, epoch=0, error="zeros")
    embedding.parts.write(0, np.zeros(0, np.int64), np.zeros((0, 0), np.float32))
    with pytest.raises(ValueError, match=r"none of the 24 videos can be embedded: see .*damaged_videos"):
        embedding.finish()


def test_a_trained_encoder_wants_its_short_side(small_dataset: ShardedDataset, tmp_path: Path) -> None:
    """A random one takes what there is; its number of clips may be chosen."""
    weights, _ = save_encoder(tmp_path / "model", build_seeded("tiny", 0), CARD)
    with pytest.raises(ValueError, match="short side is 64, and the encoder was trained on videos of 40"):
        Embedding.settle(config(small_dataset, tmp_path, model=str(weights)))
    random = replace(CARD, method="random")
    assert input_for(random, small_dataset.description).short_side == 64
    assert input_for(random, small_dataset.description, num_clips=7).num_clips == 7


def test_clips_too_small_for_the_encoder_are_refused(small_dataset: ShardedDataset, tmp_path: Path) -> None:
    """Before Ray starts, naming what it needs."""
    card = replace(CARD, encoder="s3dg", feature_dim=1024, input=replace(CARD.input, short_side=64))
    weights, _ = save_encoder(tmp_path / "model", build_seeded("s3dg", 0), card)
    with pytest.raises(ValueError, match=r"given clips of 4 frames, .* at least 5 frames"):
        Embedding.settle(config(small_dataset, tmp_path, model=str(weights)))


def test_each_clip_is_seen_in_each_crop(small_dataset: ShardedDataset) -> None:
    """First all clips at the left, then in the middle, then at the right; upright pictures from top to bottom."""
    sampler = EvenlySpacedSampler(num_clips=2, num_frames_per_clip=4)
    video = VideoInfo(video_index=0, num_frames=20, frames_per_second=25.0, height=64, width=80)
    clips = EachClipInEachCrop(sampler=sampler, num_crops=3).plan(video, np.random.default_rng(0)).clips
    alone = [clip.frame_indices for clip in sampler.plan(video).clips]
    assert [clip.frame_indices for clip in clips] == alone * 3
    assert [clip.augmentation_group for clip in clips] == [0, 0, 1, 1, 2, 2]
    recipe = embedding_recipe(CARD.input, small_dataset.description, num_crops=3)
    for height, width, corners in ((64, 80, [(0, 0), (0, 8), (0, 16)]), (90, 64, [(0, 0), (12, 0), (26, 0)])):
        generator = np.random.default_rng(0)
        boxes = [view.draw(generator, height=height, width=width, num_frames=4).crops[0] for view in recipe.views]
        assert [(box.top, box.left) for box in boxes] == corners
        assert {(box.height, box.width) for box in boxes} == {(64, 64)}


@pytest.mark.parametrize(
    ("cpus", "gpus", "num_videos", "asked", "expected"),
    [
        (2, 0, 1000, {}, (1, 1.0, False)),
        (1, 0, 1000, {}, (1, 0.5, False)),
        (16, 0, 1000, {}, (15, 1.0, False)),
        (16, 0, 17, {}, (3, 1.0, False)),
        (16, 2, 1000, {}, (2, 0.5, True)),
        (16, 2, 1000, {"use_gpu": False, "num_actors": 4}, (4, 1.0, False)),
    ],
)
def test_as_many_encoders_as_the_cluster_holds(cpus, gpus, num_videos, asked, expected) -> None:
    """One a GPU, or one a CPU that decoding leaves; never more than there is work for."""
    resources, _ = plan_embedding(
        cluster_cpus=cpus, cluster_gpus=gpus, cpus_per_decode_task=0.5, num_videos=num_videos, **asked
    )
    assert (resources.num_actors, resources.cpus_per_actor, resources.use_gpu) == expected


def test_more_encoders_than_fit_are_refused() -> None:
    """With the options of this job, not of training."""
    too_many: list[tuple[dict[str, Any], int]] = [
        ({"num_actors": 9}, 0),
        ({"use_gpu": True}, 0),
        ({"num_actors": 3}, 2),
    ]
    for asked, gpus in too_many:
        with pytest.raises(BudgetError, match="Accepted: fewer encoders"):
            plan_embedding(cluster_cpus=2, cluster_gpus=gpus, cpus_per_decode_task=0.5, **asked)
