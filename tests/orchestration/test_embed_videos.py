"""What becomes of one stored video: the vector that its file would have, over all clips and crops."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from rspnet_platform.inference.embedding_actor import FrozenEncoders, num_videos_per_block
from rspnet_platform.inference.embedding_clips import embedding_recipe
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.inference.encoder_files import build_seeded
from rspnet_platform.inference.video_embedder import VideoEmbedder, read_clips
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.shards.i420 import picture_planes
from rspnet_platform.stream.clip_decoding import decode_sample
from rspnet_platform.stream.crops import crop_and_resize
from rspnet_platform.stream.loaded_row_groups import LoadedRowGroups
from rspnet_platform.stream.stream_plan import VideoLocations
from rspnet_platform.videos.sequential_decoding import open_video

from rspnet_core.augmentation import to_clips
from rspnet_core.evaluation.features import embed_videos
from rspnet_core.recognition.square_crops import NumCrops
from rspnet_core.sampling.views import CropBox, identity_numbers
from tests.small_encoder import CARD

CARD_OF_64 = replace(CARD, input=replace(CARD.input, short_side=64))
FROZEN = FrozenEncoders(
    encoders={"one": build_seeded("tiny", 3)}, pooling="average", normalisation="imagenet", device=torch.device("cpu")
)


def embed_stored(
    dataset: ShardedDataset, video_index: int, encoder_input: EncoderInput, num_crops: NumCrops = 1
) -> np.ndarray:
    """As a decode task and an actor do it, in this process."""
    recipe = embedding_recipe(encoder_input, dataset.description, num_crops=num_crops)
    [location] = VideoLocations.from_dataset(dataset).of(np.array([video_index]))
    video = LoadedRowGroups(dataset.uri, [location]).take(location, video_index)
    sample = decode_sample(video, 0, recipe)
    return FROZEN.embed(torch.from_numpy(sample.planes), torch.from_numpy(sample.view_numbers))["one"]


def stored_videos(dataset: ShardedDataset) -> dict[int, bytes]:
    """The MP4 that each row holds, by video index."""
    shards = [pq.read_table(f"{dataset.uri}/{name}") for name in sorted(set(dataset.videos["shard"].to_pylist()))]
    return {row["video_index"]: row["video"] for shard in shards for row in shard.to_pylist()}


def test_embeddings_are_the_embedder_s(small_dataset: ShardedDataset) -> None:
    """Of the very same pixels the same vectors; of the files that came, nearer to them than any other video's is."""
    vectors = np.stack([embed_stored(small_dataset, index, CARD_OF_64.input) for index in range(24)])
    embedder = VideoEmbedder(build_seeded("tiny", 3), CARD_OF_64)
    stored = stored_videos(small_dataset)
    expected = embedder.embed([stored[index] for index in range(24)])
    np.testing.assert_allclose(vectors, expected, rtol=1e-6, atol=1e-7)
    ids = small_dataset.videos.sort_by("video_index")["video_id"].to_pylist()
    files = embedder.embed([Path(small_dataset.uri).parent / "videos" / name for name in ids])
    distances = np.linalg.norm(files[:, None] - vectors[None], axis=2)
    assert distances.argmin(axis=1).tolist() == list(range(24))
    others = distances[~np.eye(24, dtype=bool)]
    assert distances.diagonal().max() < 0.5 * others.min()


def test_three_crops_are_their_mean(small_dataset: ShardedDataset) -> None:
    """Of 64 x 80 pixels the squares at 0, 8 and 16, each clip in each of them, one clip at a time."""
    encoder_input = replace(CARD_OF_64.input, num_clips=5)
    for index in (0, 23):
        video = stored_videos(small_dataset)[index]
        plan, frames = read_clips(partial(open_video, video, short_side=64), encoder_input.sampler)
        each = [
            embed_clip(crop_and_resize([picture_planes(frames[i]) for i in clip.frame_indices], [box], 32))
            for box in (CropBox(0, 0, 64, 64), CropBox(0, 8, 64, 64), CropBox(0, 16, 64, 64))
            for clip in plan.clips
        ]
        found = embed_stored(small_dataset, index, encoder_input, num_crops=3)
        np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=1e-5, atol=1e-6)
        assert np.abs(found - embed_stored(small_dataset, index, encoder_input)).max() > 1e-4


def embed_clip(planes: np.ndarray) -> np.ndarray:
    """One clip alone."""
    numbers = torch.from_numpy(identity_numbers(len(planes)))
    clips = to_clips(torch.from_numpy(planes)[None, None], numbers[None, None])
    return embed_videos(build_seeded("tiny", 3), clips, "average")[0].numpy()


def test_pooling_and_colours_are_the_card_s() -> None:
    """Of the same planes the maximum over space under other colours, one clip at a time; neither is the default."""
    encoder = build_seeded("tiny", 3)
    frozen = FrozenEncoders(
        encoders={"one": encoder}, pooling="spatial_max", normalisation="slowfast", device=torch.device("cpu")
    )
    generator = torch.Generator().manual_seed(0)
    planes = torch.randint(0, 256, (3, 4, 48, 32), generator=generator, dtype=torch.uint8)
    numbers = torch.from_numpy(identity_numbers(4)).expand(3, -1, -1)
    clips = to_clips(planes[:, None], numbers[:, None], "slowfast")[:, 0]
    with torch.no_grad():
        maps = [encoder.eval()(clip[None])[0] for clip in clips]
    expected = torch.stack([each.amax(dim=(2, 3)).mean(dim=1) for each in maps]).mean(dim=0).numpy()
    found = frozen.embed(planes, numbers)["one"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(found - FROZEN.embed(planes, numbers)["one"]).max() > 0.01


def test_many_clips_go_through_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a video with more clips than the encoder takes at once; each counts as much as the others."""
    generator = torch.Generator().manual_seed(0)
    planes = torch.randint(0, 256, (7, 4, 48, 32), generator=generator, dtype=torch.uint8)
    numbers = torch.from_numpy(identity_numbers(4)).expand(7, -1, -1)
    monkeypatch.setattr("rspnet_platform.inference.embedding_actor.MAX_CLIPS_AT_ONCE", 3)
    expected = np.mean([embed_clip(clip.numpy()) for clip in planes], axis=0)
    np.testing.assert_allclose(FROZEN.embed(planes, numbers)["one"], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("num_clips", "size", "expected"), [(10, 112, 8), (30, 224, 1), (10, 224, 5)])
def test_large_videos_travel_in_smaller_blocks(small_dataset: ShardedDataset, num_clips, size, expected) -> None:
    """Clips of 16 frames: 3, 36 and 12 MB of planes a video, and 64 MiB a block at the most."""
    encoder_input = EncoderInput(num_clips=num_clips, crop_size=size)
    assert num_videos_per_block(embedding_recipe(encoder_input, small_dataset.description)) == expected
