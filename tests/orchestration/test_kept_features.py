"""What an interrupted evaluation leaves: which features come back as they were, and which are computed again."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rspnet_platform.inference.embedding_actor import EmbeddingResources
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.inference.encoder_files import build_seeded
from rspnet_platform.inference.frozen_evaluation_features import KindOfFeatures, compute_features
from rspnet_platform.inference.frozen_evaluation_passes import FeatureKind, FeatureSource, Windows
from rspnet_platform.inference.kept_features import KeptFeatures
from rspnet_platform.inference.unread_videos import NO_REASON
from rspnet_platform.inference.video_parts import part_name, parts_of
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset

from tests.damaged_dataset import damage_videos

MEMBERS = [np.array([4, 2]), np.array([7, 1]), np.array([3])]
KINDS = [
    FeatureKind(windows=Windows(windowing="even", num_clips=1), pooling="average"),
    FeatureKind(windows=Windows(windowing="even", num_clips=1), pooling="max_2x2_flattened"),
    FeatureKind(windows=Windows(windowing="half_overlapping", num_clips=0), pooling="average"),
]


@pytest.fixture
def kept(tmp_path: Path) -> KeptFeatures:
    return KeptFeatures(uri=str(tmp_path / "kept"), request_sha256="abc", num_videos_per_part=2)


def rows(video_indices: np.ndarray) -> dict[str, np.ndarray]:
    """Numbers that no decimal writes down exactly."""
    generator = np.random.default_rng(int(video_indices.sum()))
    vectors = {"trained/average": 3, "random_0/max_2x2_flattened": 8}
    return {"video_index": video_indices} | {
        name: generator.standard_normal((len(video_indices), size)).astype(np.float32) for name, size in vectors.items()
    }


def test_features_come_back_bit_by_bit(kept: KeptFeatures):
    """Those that are there, by part, with every column as it was."""
    for part in (0, 2):
        kept.write("even-1", part, rows(MEMBERS[part]))
    found = kept.read("even-1", MEMBERS)
    assert list(found) == [0, 2]
    for part, expected in ((0, rows(MEMBERS[0])), (2, rows(MEMBERS[2]))):
        assert set(found[part]) == set(expected)
        for name, values in expected.items():
            assert found[part][name].dtype == values.dtype
            np.testing.assert_array_equal(found[part][name], values)
    assert kept.read("even-10", MEMBERS) == {}


def test_features_of_something_else_are_not_used(kept: KeptFeatures, capsys: pytest.CaptureFixture[str]):
    """Of another request, pass or place among the parts, or no Parquet at all: it is said, and they are missing."""
    kept.write("even-1", 0, rows(MEMBERS[0]))
    assert replace(kept, request_sha256="def").read("even-1", MEMBERS) == {}
    part = Path(kept.uri, "even-1", "part-00000.parquet")
    for pass_name, name in (("even-10", "part-00000.parquet"), ("even-1", "part-00001.parquet")):
        copy = Path(kept.uri, pass_name, name)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(part.read_bytes())
        assert set(kept.read(pass_name, [MEMBERS[0], MEMBERS[0]])) == {"even-1": {0}, "even-10": set()}[pass_name]
        assert f"{copy} is of other features and is not used" in capsys.readouterr().err
    part.write_bytes(b"PAR1")
    assert kept.read("even-1", MEMBERS[:1]) == {}
    assert "computed again: " in capsys.readouterr().err


def test_a_part_that_lacks_a_video_needs_a_reason(kept: KeptFeatures):
    """Damaged ones are listed beside the parts; without the list, or in another order, the part is computed again."""
    kept.write("even-1", 0, rows(MEMBERS[0][1:]))
    kept.write("even-1", 1, rows(MEMBERS[1][::-1]))
    assert kept.read("even-1", MEMBERS) == {}
    kept.damage.enter(4, epoch=0, error="zeros")
    assert list(kept.read("even-1", MEMBERS)) == [0]
    kept.read_damaged_again()
    assert kept.read("even-1", MEMBERS) == {}


def test_a_part_of_damaged_videos_alone_is_a_part(kept: KeptFeatures):
    """It has no columns of features."""
    kept.write("even-1", 2, {"video_index": np.zeros(0, np.int64)})
    kept.damage.enter(3, epoch=0, error="zeros")
    [found] = kept.read("even-1", MEMBERS).values()
    assert found["video_index"].tolist() == []


def source(dataset: ShardedDataset, kept: KeptFeatures) -> FeatureSource:
    return FeatureSource(
        dataset=dataset,
        video_indices=np.arange(9),
        encoder_input=EncoderInput(num_frames_per_clip=6, crop_size=32, short_side=64),
        kept=kept,
        resources=EmbeddingResources(),
        cpus_per_decode_task=0.5,
        decoder=None,
    )


def changed(path: Path) -> tuple[int, int]:
    """Another file or time after any writing."""
    return path.stat().st_ino, path.stat().st_mtime_ns


def assert_equal(found: Mapping[FeatureKind, KindOfFeatures], expected: Mapping[FeatureKind, KindOfFeatures]) -> None:
    assert set(found) == set(expected) == set(KINDS)
    for kind, features in expected.items():
        np.testing.assert_array_equal(found[kind].video_indices, features.video_indices)
        for name, vectors in features.of_encoder.items():
            np.testing.assert_array_equal(found[kind].of_encoder[name], vectors)


@pytest.mark.usefixtures("ray_of_two_cpus")
def test_only_what_is_left_is_computed(
    small_dataset: ShardedDataset, kept: KeptFeatures, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """The very numbers of an undisturbed evaluation, from files that stay as they are; a damaged video that was met
    before is listed with its reason, unread."""
    dataset = open_dataset(damage_videos(small_dataset, tmp_path / "damaged", [2]))
    encoders = {"trained": build_seeded("tiny", 0), "random_0": build_seeded("tiny", 1)}
    undisturbed = compute_features(source(dataset, kept), encoders, KINDS)
    assert "going on" not in capsys.readouterr().err
    [damaged] = undisturbed[KINDS[0]].damaged
    assert damaged["error"] != NO_REASON
    names = sorted(str(path.relative_to(kept.uri)) for path in Path(kept.uri).glob("*/part-*.parquet"))
    assert names == [
        f"{name}/part-{part:05d}.parquet" for name in ("even-1", "half_overlapping-16") for part in range(5)
    ]
    [of_damaged] = [
        part for part, videos in enumerate(parts_of(dataset, np.arange(9), num_videos_per_part=2)) if 2 in videos
    ]
    stay = {Path(kept.uri, "even-1", part_name(part)) for part in {0, of_damaged}}
    for name in names:
        if (path := Path(kept.uri, name)) not in stay:
            path.unlink()
    before = {path: changed(path) for path in stay}
    Path(kept.damage.uri, "2.json").write_text('{"video_index": 2, "epoch": 0, "error": "as it was met"}')
    resumed = compute_features(source(dataset, kept), encoders, KINDS)
    assert f"going on where this evaluation was interrupted: {len(before)} of 10 parts" in capsys.readouterr().err
    assert {path: changed(path) for path in before} == before
    assert_equal(resumed, undisturbed)
    assert [each["error"] for each in resumed[KINDS[0]].damaged] == ["as it was met"]
