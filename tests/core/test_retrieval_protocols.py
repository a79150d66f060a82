"""The protocols in print, each against its definition written out slowly."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rspnet_core.encoders.tiny import TinyEncoder
from rspnet_core.evaluation.features import embed_clips, pool_map
from rspnet_core.evaluation.retrieval import leave_one_source_out, retrieve
from rspnet_core.evaluation.retrieval_protocol import RETRIEVAL_PROTOCOLS
from rspnet_core.sampling.clip_plan import VideoInfo
from rspnet_core.sampling.half_overlapping import HalfOverlappingSampler, num_windows

PROTOCOL = RETRIEVAL_PROTOCOLS["rspnet_code"]


def slow_vcop_pool(feature_map: Tensor) -> Tensor:
    """Every tile of 2 x 2 positions by its own loop, channel by channel, frame by frame."""
    channels, time, height, width = feature_map.shape
    numbers = [
        max(feature_map[c, t, 2 * row + i, 2 * column + j].item() for i in range(2) for j in range(2))
        for c in range(channels)
        for t in range(time)
        for row in range(height // 2)
        for column in range(width // 2)
    ]
    return torch.tensor(numbers)


@pytest.mark.parametrize(("shape", "num_numbers"), [((3, 2, 4, 4), 24), ((5, 2, 7, 7), 90), ((2, 3, 4, 5), 24)])
def test_vcop_pools_tiles_and_keeps_them_all(shape, num_numbers):
    """C3D's 512 x 2 x 7 x 7 gives 512 * 2 * 3 * 3 = 9216 numbers in this way, as published."""
    feature_map = torch.randn(2, *shape)
    pooled = pool_map(feature_map, "max_2x2_flattened")
    assert pooled.shape == (2, num_numbers)
    for one, expected in zip(pooled, feature_map, strict=True):
        assert torch.equal(one, slow_vcop_pool(expected))


def test_vcop_keeps_a_map_of_one_position():
    """Small clips leave a map with nothing to pool, not an empty feature."""
    feature_map = torch.randn(2, 3, 2, 1, 1)
    assert torch.equal(pool_map(feature_map, "max_2x2_flattened"), feature_map.flatten(1))


def test_the_place_of_a_feature_counts_with_vcop_alone():
    """Two maps with one bright position each, left or right: their means and maxima are equal, their tiles are not."""
    left, right = torch.zeros(1, 1, 1, 4, 4), torch.zeros(1, 1, 1, 4, 4)
    left[..., 0, 0], right[..., 0, 3] = 1, 1
    assert torch.equal(pool_map(left, "average"), pool_map(right, "average"))
    assert torch.equal(pool_map(left, "spatial_max"), pool_map(right, "spatial_max"))
    assert not torch.equal(pool_map(left, "max_2x2_flattened"), pool_map(right, "max_2x2_flattened"))


def test_one_forward_pass_serves_all_poolings():
    """Each equals pooling the eval-mode map of its own."""
    encoder, clips = TinyEncoder(), torch.randn(3, 3, 4, 32, 32)
    features = embed_clips(encoder, clips, ("average", "max_2x2_flattened"))
    encoder.eval()
    with torch.no_grad():
        feature_map = encoder(clips)
    torch.testing.assert_close(features["average"], feature_map.mean((2, 3, 4)))
    torch.testing.assert_close(
        features["max_2x2_flattened"], torch.stack([slow_vcop_pool(each) for each in feature_map])
    )


def video(num_frames: int) -> VideoInfo:
    return VideoInfo(video_index=0, num_frames=num_frames, frames_per_second=25.0, height=64, width=64)


def slow_windows(num_frames: int, num_frames_per_clip: int, frame_stride: int) -> list[list[int]]:
    """From frame 0 on, half a window further each time, while the window's last frame exists."""
    window, start, windows = num_frames_per_clip * frame_stride, 0, []
    while start + window <= num_frames:
        windows.append([start + frame_stride * i for i in range(num_frames_per_clip)])
        start += window // 2
    return windows


@pytest.mark.parametrize(("num_frames", "length", "stride"), [(32, 32, 1), (47, 32, 1), (48, 32, 1), (100, 8, 3)])
def test_coclr_windows_equal_the_slow_ones(num_frames, length, stride):
    """As many as `num_windows` says, each half a window after the one before, none past the end."""
    expected = slow_windows(num_frames, length, stride)
    assert num_windows(num_frames, length, stride) == len(expected)
    sampler = HalfOverlappingSampler(num_clips=len(expected), num_frames_per_clip=length, frame_stride=stride)
    assert [list(clip.frame_indices) for clip in sampler.plan(video(num_frames)).clips] == expected


def test_samples_are_filled_with_the_last_window():
    """Two windows of 12 frames in a sample of four clips; one of a video that is too short begins it again."""
    sampler = HalfOverlappingSampler(num_clips=4, num_frames_per_clip=8)
    assert [clip.frame_indices[0] for clip in sampler.plan(video(12)).clips] == [0, 4, 4, 4]
    assert {clip.frame_indices for clip in sampler.plan(video(5)).clips} == {(0, 1, 2, 3, 4, 0, 1, 2)}
    assert num_windows(5, 8, 1) == 1


def test_a_video_of_more_windows_than_the_sample_holds_is_refused():
    """Rather than being cut short without a word."""
    with pytest.raises(ValueError, match="3 windows"):
        HalfOverlappingSampler(num_clips=2, num_frames_per_clip=8).plan(video(16))


def slow_coclr_hits(gallery: Tensor, query: Tensor, gallery_labels: Tensor, query_labels: Tensor) -> float:
    """Each split less its own mean, then to length one, then the largest inner product."""
    sides = []
    for side in (gallery, query):
        mean = sum(side) / len(side)
        sides.append([(feature - mean) / (feature - mean).norm() for feature in side])
    hits = 0
    for feature, label in zip(sides[1], query_labels, strict=True):
        products = [float(feature @ other) for other in sides[0]]
        hits += int(gallery_labels[products.index(max(products))] == label)
    return hits / len(query)


def test_coclr_centres_each_split_by_its_own_mean():
    """Queries that are all moved by one offset: their own mean takes it away, the gallery's does not."""
    gallery, labels = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), torch.arange(4)
    query = gallery + torch.tensor([5.0, 5.0])
    by_centring = {
        centring: retrieve(gallery, labels, query, labels, dataclasses.replace(PROTOCOL, centring=centring)).accuracy[1]
        for centring in ("none", "gallery", "each_split")
    }
    assert by_centring["each_split"] == 1.0
    assert by_centring["none"] == by_centring["gallery"] < 1.0


def test_coclr_equals_the_slow_reference():
    """On features with a large offset, another in each split."""
    gallery, query = torch.randn(40, 6) + 3, torch.randn(30, 6) - 2
    labels = torch.randint(0, 4, (70,))
    result = retrieve(gallery, labels[:40], query, labels[40:], RETRIEVAL_PROTOCOLS["coclr"])
    assert result.accuracy[1] == pytest.approx(slow_coclr_hits(gallery, query, labels[:40], labels[40:]))


def test_without_a_split_each_split_and_gallery_are_one():
    """All videos are gallery and queries: there is one mean."""
    features, labels = torch.randn(30, 5) + 4, torch.randint(0, 3, (30,))
    centred = [
        leave_one_source_out(
            features, labels, torch.arange(30), dataclasses.replace(PROTOCOL, centring=centring)
        ).accuracy
        for centring in ("gallery", "each_split", "none")
    ]
    assert centred[0] == centred[1] != centred[2]


def test_pooling_changes_the_answer():
    """A small bright spot against a broad faint one: the maximum finds the spot, the mean the broad one."""
    spot, broad = torch.zeros(1, 2, 1, 4, 4), torch.zeros(1, 2, 1, 4, 4)
    spot[:, 0, :, 0, 0], spot[:, 1] = 4.0, 1.0
    broad[:, 0], broad[:, 1] = 1.0, 1.0
    query = torch.zeros(1, 2, 1, 4, 4)
    query[:, 0, :, 3, 3], query[:, 1, :, 3, 3] = 4.0, 1.0
    labels = torch.tensor([0, 1])
    found = {}
    for pooling in ("average", "spatial_max"):
        gallery = torch.cat([pool_map(each, pooling) for each in (spot, broad)])
        nearest = F.cosine_similarity(pool_map(query, pooling), gallery).argmax()
        found[pooling] = labels[nearest].item()
    assert found == {"average": 1, "spatial_max": 0}


def test_every_protocol_says_what_it_does():
    """Pooling, windowing and centring stand in the stamp, and no two protocols have the same."""
    stamps = {name: protocol.stamp for name, protocol in RETRIEVAL_PROTOCOLS.items()}
    assert len(set(stamps.values())) == len(RETRIEVAL_PROTOCOLS) == 5
    assert stamps["vcop"] == (
        "pooling max_2x2_flattened, windowing 10 even clips, mean over clips, centring none, cosine"
    )
    assert stamps["coclr"] == (
        "pooling average, windowing half-overlapping clips, mean over clips, centring each_split, cosine"
    )
