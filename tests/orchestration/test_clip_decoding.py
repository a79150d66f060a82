"""A sample's pixels against sequential decoding and a slow crop and resize; its randomness, by what it belongs to."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from rspnet_platform.shards.i420 import picture_planes
from rspnet_platform.shards.row_groups import EncodedVideo, read_videos
from rspnet_platform.stream.clip_decoding import SampleRecipe, decode_sample, draw_views, sample_plan
from rspnet_platform.stream.crops import crop_and_resize

from rspnet_core.random_streams import random_stream
from rspnet_core.sampling.clip_plan import ClipPlan, VideoInfo
from rspnet_core.sampling.evenly_spaced import EvenlySpacedSampler
from rspnet_core.sampling.speed_pairs import SpeedPairSampler
from rspnet_core.sampling.views import CentreView, CropBox, ViewConfig
from tests.videos import decode_all

RECIPE = SampleRecipe(sampler=SpeedPairSampler(num_frames_per_clip=4), views=(ViewConfig(crop_size=32),), seed=7)


@pytest.fixture
def video(small_dataset) -> EncodedVideo:
    place = small_dataset.videos.slice(0, 1).to_pylist()[0]
    return read_videos(small_dataset.uri, place["shard"], place["row_group"], [place["row"]])[0]


def planes_of(picture: np.ndarray) -> list[np.ndarray]:
    """Y, U and V of an I420 picture."""
    height, width = picture.shape[0] * 2 // 3, picture.shape[1]
    quarter = height * width // 4
    chroma = picture[height:].reshape(-1)
    return [picture[:height], *(part.reshape(height // 2, width // 2) for part in (chroma[:quarter], chroma[quarter:]))]


def test_a_centre_crop_without_resizing_is_a_cut_of_the_decoded_frames(video):
    """Every clip, frame and plane, bit for bit, of a video of 64 x 80 at a crop of 64."""
    recipe = SampleRecipe(
        sampler=EvenlySpacedSampler(num_clips=3, num_frames_per_clip=4), views=(CentreView(crop_size=64),), seed=0
    )
    pictures = decode_all(bytes(video.data))
    sample = decode_sample(video, 0, recipe)
    plan = recipe.sampler.plan(video.info, random_stream(0, 0, 0, "unused"))
    for clip, planes in zip(plan.clips, sample.planes, strict=True):
        for index, found in zip(clip.frame_indices, planes, strict=True):
            luma, u, v = planes_of(pictures[index])
            expected = (luma[:, 8:72], u[:, 4:36], v[:, 4:36])
            assert all(np.array_equal(a, b) for a, b in zip(planes_of(found), expected, strict=True))


def test_a_crop_is_resized_plane_by_plane(video):
    """Against torch's bilinear resize of each plane's own part, within one level of rounding."""
    [picture] = decode_all(bytes(video.data))[:1]
    crop = CropBox(top=6, left=20, height=40, width=30)
    [found] = crop_and_resize([picture_planes(picture)], [crop], 32)
    for scale, plane, out in zip((1, 2, 2), planes_of(picture), planes_of(found), strict=True):
        top, left, height, width = (side // scale for side in crop)
        part = torch.from_numpy(plane[top : top + height, left : left + width].astype(np.float32))
        expected = F.interpolate(part[None, None], size=out.shape, mode="bilinear", align_corners=False)[0, 0]
        assert np.abs(out.astype(np.float32) - expected.numpy()).max() <= 1


class KeysFirst(SpeedPairSampler):
    """Two clips that are seen alike, then one of its own view."""

    def plan(self, video: VideoInfo, generator: np.random.Generator) -> ClipPlan:
        return ClipPlan(clips=super().plan(video, generator).clips[::-1])


@pytest.mark.parametrize("sampler", [SpeedPairSampler(), SpeedPairSampler(share_key_augmentation=False), KeysFirst()])
def test_frames_that_come_again_are_cut_as_if_alone(video, sampler):
    """Overlapping keys, and clips that begin a short video anew, against one crop a frame of every clip."""
    recipe = replace(RECIPE, sampler=sampler)
    pictures = decode_all(bytes(video.data))
    for epoch in range(4):
        plan = sample_plan(video.info, epoch, recipe)
        views = draw_views(plan, video.info, epoch, recipe)
        for clip, planes in zip(plan.clips, decode_sample(video, epoch, recipe).planes, strict=True):
            for index, found in zip(clip.frame_indices, planes, strict=True):
                crops = views[clip.augmentation_group].crops
                [expected] = crop_and_resize([picture_planes(pictures[index])], crops, 32)
                assert np.array_equal(found, expected)


def test_a_crop_of_its_own_for_each_frame(video):
    """Clips that share a view share each frame's box, by its place in the clip; other frames have other boxes."""
    view = ViewConfig(crop_size=32, per_frame=("crop",))
    recipe = replace(RECIPE, views=(view,), sampler=SpeedPairSampler(num_frames_per_clip=4))
    pictures = decode_all(bytes(video.data))
    plan = sample_plan(video.info, 0, recipe)
    views = draw_views(plan, video.info, 0, recipe)
    for clip, planes in zip(plan.clips, decode_sample(video, 0, recipe).planes, strict=True):
        crops = views[clip.augmentation_group].crops
        assert len(set(crops)) == 4
        for index, crop, found in zip(clip.frame_indices, crops, planes, strict=True):
            [expected] = crop_and_resize([picture_planes(pictures[index])], [crop], 32)
            assert np.array_equal(found, expected)


def test_keys_share_their_view_and_the_query_has_its_own(video):
    """As the plan groups them: the two keys are cropped and coloured alike."""
    numbers = decode_sample(video, 0, RECIPE).view_numbers
    assert np.array_equal(numbers[1], numbers[2])
    assert not np.array_equal(numbers[0], numbers[1])


@pytest.mark.parametrize("part", ["clips", "views"])
def test_each_epoch_and_seed_draws_anew(video, part):
    """Clips and views alike; and the same epoch of the same seed gives the same."""

    def drawn(epoch: int, seed: int = 7) -> bytes:
        if part == "views":
            return decode_sample(video, epoch, replace(RECIPE, seed=seed)).view_numbers.tobytes()
        recipe = replace(RECIPE, seed=seed, views=(CentreView(crop_size=32),))
        return decode_sample(video, epoch, recipe).planes.tobytes()

    assert drawn(0) == drawn(0)
    assert len({drawn(epoch) for epoch in range(6)}) >= 5
    assert len({drawn(0, seed) for seed in range(6)}) >= 5


def test_a_shard_row_is_a_video_that_any_player_opens(video):
    """The bytes of a row are a whole MP4 with as many frames as the row says."""
    assert len(decode_all(io.BytesIO(bytes(video.data)).getvalue())) == video.info.num_frames
