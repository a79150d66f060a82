"""What each protocol's features are: every clip decoded and pooled by itself, against one pass for all of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from rspnet_platform.inference.embedding_actor import EmbeddingResources
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.inference.encoder_files import build_seeded
from rspnet_platform.inference.frozen_evaluation_features import compute_features
from rspnet_platform.inference.frozen_evaluation_passes import (
    FeatureKind,
    FeatureSource,
    Windows,
    passes,
    windows_of_videos,
)
from rspnet_platform.inference.frozen_feature_actor import FrozenEncoders, column
from rspnet_platform.inference.kept_features import KeptFeatures
from rspnet_platform.inference.unread_videos import NO_REASON
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.shards.i420 import picture_planes
from rspnet_platform.shards.row_groups import read_videos
from rspnet_platform.stream.crops import crop_and_resize

from rspnet_core.augmentation import to_clips
from rspnet_core.normalisation import NormalisationName
from rspnet_core.sampling.views import centre_crop, identity_numbers
from tests.damaged_dataset import damage_videos
from tests.videos import decode_all

INPUT = EncoderInput(num_frames_per_clip=6, crop_size=32, short_side=64, num_clips=3)
EVEN, ALL = Windows(windowing="even", num_clips=3), Windows(windowing="half_overlapping", num_clips=0)
KINDS = [
    FeatureKind(windows=EVEN, pooling="average"),
    FeatureKind(windows=EVEN, pooling="max_2x2_flattened"),
    FeatureKind(windows=ALL, pooling="average"),
]
STARTS = {"even": [0, 7, 14], "half_overlapping": [0, 3, 6, 9, 12]}
"""Of clips of 6 frames in videos of 20; five windows are filled up to sixteen."""


def source(dataset: ShardedDataset, video_indices: list[int], folder: Path) -> FeatureSource:
    return FeatureSource(
        dataset=dataset,
        video_indices=np.array(video_indices),
        encoder_input=INPUT,
        kept=KeptFeatures(uri=str(folder), request_sha256="abc", num_videos_per_part=2),
        resources=EmbeddingResources(),
        cpus_per_decode_task=0.5,
        decoder=None,
    )


def planes_of_clips(dataset: ShardedDataset, video_index: int, starts: list[int]) -> np.ndarray:
    """From a full decode of what is stored."""
    row = dataset.videos.sort_by("video_index").slice(video_index, 1).to_pylist()[0]
    [video] = read_videos(dataset.uri, row["shard"], row["row_group"], [row["row"]])
    frames = [picture_planes(planes) for planes in decode_all(bytes(video.data))]
    crop = centre_crop(row["height"], row["width"])
    return np.stack([crop_and_resize(frames[start : start + 6], [crop], INPUT.crop_size) for start in starts])


def slow_features(
    encoder: torch.nn.Module, planes: np.ndarray, pooling: str, colours: NormalisationName = "imagenet"
) -> np.ndarray:
    """One clip after the other through the encoder in eval mode, pooled by loops or means of its own."""
    vectors = []
    for clip in planes:
        numbers = torch.from_numpy(identity_numbers(6))[None, None]
        with torch.no_grad():
            feature_map = encoder.eval()(to_clips(torch.from_numpy(clip)[None, None], numbers, colours)[0])[0]
        if pooling == "average":
            vectors.append(feature_map.flatten(1).mean(dim=1))
        else:
            rows, columns = feature_map.shape[2] // 2, feature_map.shape[3] // 2
            tiles = feature_map.unflatten(3, (columns, 2)).unflatten(2, (rows, 2))
            vectors.append(tiles.amax(dim=(3, 5)).flatten())
    return torch.stack(vectors).mean(dim=0).numpy()


@pytest.fixture(autouse=True)
def _on_one_thread():
    """Tensors are tiny here: on a busy machine a second thread costs many times what it gives."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


def test_one_pass_gives_every_encoder_and_pooling():
    """Equal to clip by clip, over the border of what goes through the encoders at once; modes are given back."""
    encoders = {"one": build_seeded("tiny", 0), "other": build_seeded("tiny", 1)}
    frozen = FrozenEncoders(
        encoders=encoders,
        poolings=("average", "max_2x2_flattened"),
        normalisation="slowfast",
        device=torch.device("cpu"),
    )
    planes = np.random.default_rng(0).integers(16, 236, (35, 6, 48, 32), np.uint8)
    numbers = np.broadcast_to(identity_numbers(6), (35, *identity_numbers(6).shape))
    found = frozen.features(planes, numbers)
    assert all(encoder.training for encoder in encoders.values())
    for name, encoder in encoders.items():
        for pooling in frozen.poolings:
            expected = slow_features(encoder, planes, pooling, "slowfast")
            np.testing.assert_allclose(found[column(name, pooling)], expected, atol=1e-5)
            encoder.train()


def test_videos_are_read_together_by_the_number_of_their_windows(small_dataset, tmp_path):
    """All have five windows: one pass, whose samples are filled up to sixteen."""
    videos = source(small_dataset, [1, 4], tmp_path)
    assert set(windows_of_videos(videos).tolist()) == {5}
    [only] = passes(videos, ALL)
    assert (only.name, only.sampler.num_clips) == ("half_overlapping-16", 16)
    [even] = passes(videos, EVEN)
    assert (even.name, even.sampler.num_clips) == ("even-3", 3)
    for planned in (only, even):
        assert [sorted(part.tolist()) for part in planned.members] == [[1, 4]]


@pytest.mark.slow
@pytest.mark.usefixtures("ray_of_two_cpus")
def test_features_on_ray_equal_the_slow_reference(small_dataset, tmp_path):
    """Even and half-overlapping clips, filled samples included; a damaged video is missing, and no other takes its
    place."""
    dataset = open_dataset(damage_videos(small_dataset, tmp_path / "damaged", [2]))
    encoders = {"trained": build_seeded("tiny", 0), "random_0": build_seeded("tiny", 1)}
    found = compute_features(source(dataset, [5, 2, 9], tmp_path / "ledger"), encoders, KINDS)
    assert set(found) == set(KINDS)
    for kind, features in found.items():
        assert features.video_indices.tolist() == [5, 9]
        [damaged] = features.damaged
        assert damaged["video_id"] == dataset.videos.sort_by("video_index")["video_id"][2].as_py()
        assert damaged["error"] != NO_REASON
        for name, encoder in encoders.items():
            for place, video_index in enumerate((5, 9)):
                planes = planes_of_clips(dataset, video_index, STARTS[kind.windows.windowing])
                expected = slow_features(encoder, planes, kind.pooling)
                np.testing.assert_allclose(features.of_encoder[name][place], expected, atol=1e-4)
