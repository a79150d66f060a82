"""Ten clips times three crops of a video, averaged, against a slow reference that goes clip by clip."""

import numpy as np
import pytest
import torch
from rspnet_platform.finetune.clip_scores import MAX_CLIPS_AT_ONCE, score_clips
from rspnet_platform.finetune.scoring import score_videos
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.shards.packet_reader import read_planes
from rspnet_platform.shards.row_groups import EncodedVideo, read_videos
from rspnet_platform.stream.clip_decoding import SampleRecipe, decode_sample
from rspnet_platform.stream.crops import crop_and_resize
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.stream.frame_readers import IndexedReader
from rspnet_platform.stream.stream_plan import VideoLocations

from rspnet_core.augmentation import to_clips
from rspnet_core.recognition.clip_samplers import EvaluationClipSampler, TrainingClipSampler
from rspnet_core.recognition.recognition import Recognition
from rspnet_core.recognition.recognition_config import RecognitionConfig
from rspnet_core.recognition.square_crops import square_crops
from rspnet_core.sampling.views import CropBox, ViewConfig, identity_numbers

TASK = RecognitionConfig(
    encoder="tiny", num_classes=3, clips=TrainingClipSampler(num_frames_per_clip=4), view=ViewConfig(crop_size=32)
)
CORNERS = ((0, 0), (0, 8), (0, 16))
"""Of the squares of 64 pixels in pictures of 64 x 80."""


@pytest.fixture(scope="module")
def networks() -> dict[str, Recognition]:
    """In evaluation mode, with weights large enough that classes differ."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        built = {name: Recognition(TASK).eval() for name in ("one", "other")}
    for network in built.values():
        torch.nn.init.normal_(network.classifier.weight, std=3.0, generator=torch.Generator().manual_seed(len(built)))
    return built


def stored_video(dataset: ShardedDataset, video_index: int) -> EncodedVideo:
    [(shard, row_group, row)] = VideoLocations.from_dataset(dataset).of(np.array([video_index]))
    [video] = read_videos(dataset.uri, shard, row_group, [row])
    return video


def slow_probabilities(network: Recognition, video: EncodedVideo) -> torch.Tensor:
    """Each clip of each crop alone: 20 frames leave starts from 0 to 16."""
    frames = read_planes(video.data, video.index, frozenset(range(20)))
    found = []
    for top, left in CORNERS:
        for start in np.linspace(0, 16, 10).round().astype(int).tolist():
            pictures = [frames[start + offset] for offset in range(4)]
            planes = crop_and_resize(pictures, (CropBox(top, left, 64, 64),), 32)
            clip = to_clips(torch.from_numpy(planes)[None, None], torch.from_numpy(identity_numbers(4))[None, None])[0]
            logits = network.classifier(network.encoder(clip).mean(dim=(2, 3, 4)))[0]
            found.append(logits.exp() / logits.exp().sum())
    return torch.stack(found).mean(dim=0).detach()


def test_clips_and_crops_are_averaged_as_the_slow_reference_does(small_dataset, networks):
    """Thirty clips of two videos, more than go through the network at once."""
    recipe = SampleRecipe(
        sampler=EvaluationClipSampler(training=TASK.clips, num_clips_per_crop=10, num_crops=3),
        views=square_crops(3, 32),
        seed=0,
        reader=IndexedReader(),
    )
    videos = [stored_video(small_dataset, index) for index in (3, 7)]
    samples = [decode_sample(video, 0, recipe) for video in videos]
    planes, numbers = (
        torch.from_numpy(np.stack([getattr(sample, name) for sample in samples])) for name in ("planes", "view_numbers")
    )
    assert planes.shape[1] == 30 > MAX_CLIPS_AT_ONCE
    found = score_clips(networks, planes, numbers, "imagenet", torch.device("cpu"))
    for name, network in networks.items():
        expected = torch.stack([slow_probabilities(network, video) for video in videos])
        torch.testing.assert_close(found[name], expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found["one"], found["other"])


@pytest.mark.slow
@pytest.mark.usefixtures("ray_of_two_cpus")
def test_a_data_set_is_scored_on_ray(small_dataset, networks, damage_folder):
    """The asked videos alone, in the order of their indices, by each network, as the slow reference scores them."""
    scored = score_videos(
        small_dataset,
        np.array([3, 7, 20]),
        networks,
        TASK,
        num_clips_per_crop=10,
        num_crops=3,
        reader=IndexedReader(),
        damage=DamageLedger(uri=damage_folder),
        cpus_per_decode_task=0.5,
        use_gpu=False,
    )
    assert scored.video_indices.tolist() == [3, 7, 20]
    for name, network in networks.items():
        for index, found in zip((3, 7, 20), scored.probabilities[name], strict=True):
            expected = slow_probabilities(network, stored_video(small_dataset, index))
            torch.testing.assert_close(torch.from_numpy(found), expected, rtol=1e-4, atol=1e-5)
