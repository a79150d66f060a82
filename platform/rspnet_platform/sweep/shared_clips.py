"""What all trials of a sweep train on: the recipe's videos or some of them, decoded once for all or by each."""

from collections.abc import Mapping

import numpy as np

from rspnet_core.random_streams import random_stream
from rspnet_platform.command_line import say
from rspnet_platform.config import PretrainConfig
from rspnet_platform.lease import leased
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.clip_pack import ClipPack
from rspnet_platform.stream.clip_pack_writing import PackWriter, empty_pack, fill_pack, finish_pack
from rspnet_platform.stream.damage import DamageBudget
from rspnet_platform.stream.splits import select_videos
from rspnet_platform.stream.training_dataset import TrainingStream
from rspnet_platform.sweep.dotted_keys import LOSS_RATIO, with_parameters
from rspnet_platform.sweep.search import SweepConfig
from rspnet_platform.sweep.spaces import Space
from rspnet_platform.train.failure_notice import storage_error_in
from rspnet_platform.train.watches import RunStoppedError


def videos_of_trials(dataset: ShardedDataset, config: PretrainConfig, options: SweepConfig) -> np.ndarray:
    """Video indices, ascending: those of `data.split`, or `sweep.num_videos` of them, drawn by the sweep's seed."""
    videos = select_videos(dataset, config.data.split)
    if options.num_videos is None:
        return videos
    if options.num_videos > len(videos):
        raise ValueError(
            f"sweep.num_videos is {options.num_videos}, and there are {len(videos)} videos to train on; accepted are "
            "as many at the most, and none for all"
        )
    generator = random_stream(options.seed, 0, 0, "sweep/videos")
    return np.sort(generator.permutation(videos)[: options.num_videos])


def plan_shared_clips(
    folder: str, dataset: ShardedDataset, config: PretrainConfig, options: SweepConfig, stream: TrainingStream
) -> PackWriter | None:
    """None where each trial decodes its own. `config` and `stream` are a trial's without parameters. Raises ValueError
    for more samples than a trial has epochs."""
    num_samples, num_epochs = options.num_packed_samples, config.training.num_epochs
    if not num_samples:
        return None
    if num_samples > num_epochs:
        raise ValueError(
            f"sweep.num_packed_samples is {num_samples}, and a trial has {num_epochs} epochs, with a sample of each "
            "video in each; accepted are as many at the most, and 0"
        )
    pack = ClipPack.plan(folder, dataset, stream.recipe, stream.plan.video_indices, num_samples_per_video=num_samples)
    return PackWriter(pack=pack, dataset_uri=dataset.uri, locations=stream.plan.locations, recipe=stream.recipe)


def check_clips_stay(config: PretrainConfig, space: Mapping[str, Space]) -> None:
    """Raises ValueError for a key that decides what is cut out of a video: packed clips are the same for all trials."""
    for key, each in space.items():
        for value in (*each.extremes, each.at(1 / 3)):
            task = with_parameters(config, {key: value}).task
            if key != LOSS_RATIO and (task.clips, task.views) != (config.task.clips, config.task.views):
                raise ValueError(
                    f"--search {key} changes the clips, which all trials would read decoded "
                    "(sweep.num_packed_samples); accepted are sweep.num_packed_samples 0, or a search without it"
                )


def make_shared_clips(writer: PackWriter, dataset: ShardedDataset, config: PretrainConfig) -> None:
    """Decodes what is not there yet; another sweep that does so is waited for. StorageError where a store stays away,
    RunStoppedError where more videos are damaged than `data.max_damaged_fraction` allows, be the pack new or another
    sweep's."""
    pack = writer.pack
    budget = DamageBudget(
        ledger=pack.damage, num_videos=len(pack.in_order), max_damaged_fraction=config.data.max_damaged_fraction
    )
    if not pack.is_made:
        with leased(pack.uri, waits=True):
            if not pack.is_made:
                decode_shared_clips(writer, cpus_per_task=config.scaling.cpus_per_decode_task)
                if complaint := budget.complaint(dataset.videos):
                    empty_pack(pack)  # mended videos are to be decoded anew
                    raise RunStoppedError(complaint)
                finish_pack(pack)
    if complaint := budget.complaint(dataset.videos):
        raise RunStoppedError(complaint)


def decode_shared_clips(writer: PackWriter, *, cpus_per_task: float) -> None:
    """With a word of what it takes, and StorageError for whatever a store did to a task."""
    pack = writer.pack
    say(
        f"decoding {pack.num_samples_per_video} samples of each of {len(pack.in_order)} videos for all trials: "
        f"{pack.num_bytes / 1024**3:.2f} GiB in {pack.uri}, which may be deleted when the sweep is over"
    )
    try:
        fill_pack(writer, cpus_per_task=cpus_per_task)
    except Exception as error:
        if (storage_error := storage_error_in([error])) is not None:
            raise storage_error from error
        raise
