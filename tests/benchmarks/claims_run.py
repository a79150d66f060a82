"""One pretraining of one method with one seed, and what a linear classifier finds in the frozen features."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rspnet_platform.config import PretrainConfig
from rspnet_platform.inference.encoder_input_of_run import trained_frame_stride
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.shards.dataset import open_dataset
from rspnet_platform.shards.row_groups import EncodedVideo, read_videos
from rspnet_platform.stream.clip_decoding import SampleRecipe, decode_sample
from rspnet_platform.synthetic_videos import SyntheticVideosConfig, render
from rspnet_platform.train.checkpoints import checkpoint_config
from rspnet_platform.train.training_state import build_task
from safetensors.torch import load_model, save_model
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from jobs.recipes import RECIPES
from rspnet_core.augmentation import to_clips
from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_core.evaluation.features import embed_videos
from rspnet_core.optimizers import build_optimizer
from rspnet_core.pretext.task import PretextBatch, StepContext
from rspnet_core.random_streams import purpose_key
from rspnet_core.sampling.evenly_spaced import EvenlySpacedSampler
from rspnet_core.sampling.views import CentreView
from rspnet_core.train_step import train_step

METHODS = {
    "random": "tiny_cpu",
    "relative_speed": "tiny_relative_speed",
    "appearance_instance": "tiny_appearance_instance",
    "rspnet": "tiny_cpu",
    "cvrl": "tiny_cvrl",
    "pace": "tiny_pace",
}
NUM_VIDEOS_PER_BATCH = 16


@dataclass(frozen=True, kw_only=True)
class Claim:
    method: str
    seed: int
    num_epochs: int


@dataclass(frozen=True, kw_only=True)
class LabelledVideo:
    encoded: EncodedVideo
    motion: str
    appearance: str
    split: str


def prepare_videos(cache: Path) -> str:
    """The embedded data set, rendered and ingested below `cache` where it is not there yet; its shards' folder."""
    source = render(cache / "videos", SyntheticVideosConfig())
    return ingest(IngestConfig(source=str(source), output=str(cache / "shards"), run_on="local")).output


def load_videos(shards: str) -> list[LabelledVideo]:
    rows = open_dataset(shards).videos.to_pylist()
    videos = []
    for row in rows:
        [encoded] = read_videos(shards, row["shard"], row["row_group"], [row["row"]])
        motion, appearance = row["label"].split("_", 1)
        videos.append(LabelledVideo(encoded=encoded, motion=motion, appearance=appearance, split=row["split"]))
    return videos


def measure(claim: Claim, shards: str, cache: str) -> dict[str, float]:
    """What a linear probe finds of each factor, in percent. An encoder that is in the cache is not trained again: the
    same recipe, seed and epochs, whatever has become of the code since."""
    recipe = RECIPES[METHODS[claim.method]]()
    config = replace(recipe, training=replace(recipe.training, num_epochs=claim.num_epochs, seed=claim.seed))
    name = hashlib.sha256(repr(config).encode()).hexdigest()[:12]
    path = Path(cache) / "encoders" / f"{claim.method}-{claim.seed}-{name}.safetensors"
    videos, encoder = load_videos(shards), build_task(config).encoder
    if path.exists():
        load_model(encoder, path)
    elif claim.method != "random":
        encoder = pretrained_encoder(config, videos)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_model(encoder, str(path))
    return probe(encoder, videos, config)


def pretrained_encoder(config: PretrainConfig, videos: list[LabelledVideo]) -> VideoEncoder:
    """The loop of a run on one worker, without Ray: the same task, samples and optimizer steps."""
    training, seed = config.training, config.training.seed
    train_videos = [video.encoded for video in videos if video.split == "train"]
    recipe = SampleRecipe(sampler=config.task.clips, views=config.task.views, seed=seed)
    task = build_task(config)
    optimizer = build_optimizer(task, config.optimizer, training.global_batch_size)
    num_steps = training.num_epochs * len(train_videos) // training.global_batch_size
    for step, samples in enumerate(batches(num_steps, len(train_videos), config)):
        decoded = [decode_sample(train_videos[index], epoch, recipe) for epoch, index in samples]
        planes, numbers = (
            torch.from_numpy(np.stack([getattr(s, name) for s in decoded])) for name in ("planes", "view_numbers")
        )
        batch = PretextBatch(
            clips=to_clips(planes, numbers, config.task.normalisation),
            playback_speeds=torch.from_numpy(np.stack([sample.playback_speeds for sample in decoded])),
            labels=torch.from_numpy(np.stack([sample.labels for sample in decoded])),
            video_index=torch.tensor([index for _, index in samples]),
        )
        train_step(
            task=task,
            optimizer=optimizer,
            config=config.optimizer,
            global_batch_size=training.global_batch_size,
            micro_batches=[batch],
            context=StepContext(step=step, num_steps=num_steps, seed=seed),
        )
    return task.encoder


def batches(num_steps: int, num_videos: int, config: PretrainConfig) -> list[list[tuple[int, int]]]:
    """(epoch, place of the video) of each sample of each step; batches go on over the end of an epoch."""
    samples = [
        (epoch, int(index))
        for epoch in range(config.training.num_epochs)
        for index in np.random.default_rng((config.training.seed, epoch, purpose_key("claims"))).permutation(num_videos)
    ]
    size = config.training.global_batch_size
    return [samples[step * size : (step + 1) * size] for step in range(num_steps)]


def probe(encoder: VideoEncoder, videos: list[LabelledVideo], config: PretrainConfig) -> dict[str, float]:
    """From standardised features of four clips as it was trained on, at normal speed where at several, mean over the
    clips: logistic regression of motion and appearance, and ridge regression of the background's colour, which belongs
    to no class: its share of variance."""
    planes, table = centre_clips_and_features(encoder, videos, config)
    is_train = np.array([video.split == "train" for video in videos])
    scores = {}
    for factor in ("motion", "appearance"):
        labels = np.array([getattr(video, factor) for video in videos])
        classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        classifier.fit(table[is_train], labels[is_train])
        scores[factor] = 100 * float(classifier.score(table[~is_train], labels[~is_train]))
    colours = border_colours(planes)
    regression = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 11)))
    regression.fit(table[is_train], colours[is_train])
    scores["background"] = 100 * float(regression.score(table[~is_train], colours[~is_train]))
    return scores


def centre_clips_and_features(
    encoder: VideoEncoder, videos: list[LabelledVideo], config: PretrainConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Planes uint8 [video, clip, time, crop_size * 3 // 2, crop_size] and features float32 [video, feature]."""
    sampler = EvenlySpacedSampler(
        num_clips=4,
        num_frames_per_clip=config.task.clips.num_frames_per_clip,
        frame_stride=trained_frame_stride(checkpoint_config(config)),
    )
    recipe = SampleRecipe(sampler=sampler, views=(CentreView(crop_size=config.task.view.crop_size),), seed=0)
    all_planes, features = [], []
    for first in range(0, len(videos), NUM_VIDEOS_PER_BATCH):
        decoded = [decode_sample(v.encoded, 0, recipe) for v in videos[first : first + NUM_VIDEOS_PER_BATCH]]
        planes, numbers = (
            torch.from_numpy(np.stack([getattr(s, name) for s in decoded])) for name in ("planes", "view_numbers")
        )
        clips = to_clips(planes, numbers, config.task.normalisation)
        features.append(embed_videos(encoder, clips, "average").numpy())
        all_planes.append(planes.numpy())
    return np.concatenate(all_planes), np.concatenate(features)


def border_colours(planes: np.ndarray) -> np.ndarray:
    """Mean luma and chroma [video, 3] of the outermost pixels of each video's first frame."""
    pictures, side = planes[:, 0, 0], planes.shape[-1]
    chroma = pictures[:, side:].reshape(len(planes), 2, side // 2, side // 2)
    means = [outermost(pictures[:, :side]), outermost(chroma[:, 0]), outermost(chroma[:, 1])]
    return np.stack(means, axis=1)


def outermost(plane: np.ndarray) -> np.ndarray:
    """The mean of the two outermost pixels on every side, [video]."""
    is_border = np.ones(plane.shape[1:], dtype=bool)
    is_border[2:-2, 2:-2] = False
    return plane[:, is_border].mean(axis=1)
