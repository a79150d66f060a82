"""RSPNet's regions of interest: sheets and movies of what the task's heads find alike in two clips of a video."""

import re
from typing import Any

import torch

from rspnet_platform import storage
from rspnet_platform.command_line import say
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.visualise.checkpoint_task import CheckpointTask, load_checkpoint_task
from rspnet_platform.visualise.chosen_videos import ChosenVideo, choose_videos
from rspnet_platform.visualise.compared_clips import ComparedClips, compared_clips
from rspnet_platform.visualise.map_colours import ColourScale
from rspnet_platform.visualise.part_configs import RoiMapsConfig
from rspnet_platform.visualise.roi_movie import draw_movie
from rspnet_platform.visualise.roi_sheet import draw_sheet
from rspnet_platform.visualise.task_clips import ClipMaps, ComparedPair, compare, task_clips

MAX_NAME_LENGTH = 60


def draw_roi_maps(config: RoiMapsConfig) -> dict[str, Any]:
    """Writes the files and returns what is in them. ValueError for a model without heads, and where no video is left
    to show."""
    dataset = open_dataset(config.data.shards, config.data.version)
    videos = choose_videos(
        dataset, config.split, video_ids=config.videos, num_videos=config.num_videos, seed=config.seed
    )
    loaded = load_checkpoint_task(config.model)
    task_config = loaded.config
    compared = compared_clips(loaded.task, task_config.task_name, task_config.clips.num_clips)
    output = storage.resolve_uri(config.output)
    pairs = _write_all(config, dataset, videos, loaded, compared, output)
    if not pairs:
        raise ValueError(f"none of the {len(videos)} videos could be shown; why is said above")
    num_shown = len({pair["video_index"] for pair in pairs})
    return {
        "part": "roi_maps",
        "output": output,
        "model": loaded.uri,
        "method": task_config.task_name,
        "heads": list(compared.head_names),
        "num_videos": num_shown,
        "num_left_out": len(videos) - num_shown,
        "pairs": pairs,
    }


def _write_all(
    config: RoiMapsConfig,
    dataset: ShardedDataset,
    videos: list[ChosenVideo],
    loaded: CheckpointTask,
    compared: ComparedClips,
    output: str,
) -> list[dict[str, Any]]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loaded.task.to(device)
    pairs = []
    for clips in task_clips(dataset, videos, loaded.config, decoder=config.data.decoder, seed=config.seed):
        for pair in compare(clips, compared, device):
            files = _write_pair(pair, output, loaded.uri)
            say(f"{files[0]}: {' '.join(f'{each.head} {each.cosine:+.3f}' for each in pair.first.maps)}")
            pairs.append(pair_as_json(pair) | {"files": files})
    order = {video.video_index: place for place, video in enumerate(videos)}
    return sorted(pairs, key=lambda pair: order[pair["video_index"]])


def _write_pair(pair: ComparedPair, output: str, checkpoint: str) -> list[str]:
    """The names of a sheet and a movie under one scale of colours."""
    scale = ColourScale.of(each.values for maps in (pair.first, pair.second) for each in maps.maps)
    stem = file_stem(pair)
    contents = {f"{stem}.png": draw_sheet(pair, scale, checkpoint), f"{stem}.mp4": draw_movie(pair, scale)}
    for name, content in contents.items():
        storage.write_bytes(storage.join(output, name), content)
    return list(contents)


def file_stem(pair: ComparedPair) -> str:
    """Of the video's index, which is unique, and of what is harmless in its id, which a stranger chose."""
    harmless = re.sub(r"[^A-Za-z0-9-]+", "_", pair.video.video_id)[-MAX_NAME_LENGTH:].strip("_")
    return f"{pair.video.video_index:06d}_{harmless or 'video'}_pair_{pair.number}"


def pair_as_json(pair: ComparedPair) -> dict[str, Any]:
    """Similarities as the task's loss sees them; offsets of the first and the second clip's map."""
    cosines = {
        first.head: {"cosine": first.cosine, "offsets": [first.offset, second.offset]}
        for first, second in zip(pair.first.maps, pair.second.maps, strict=True)
    }
    return {
        "video_index": pair.video.video_index,
        "video_id": pair.video.video_id,
        "label": pair.video.label,
        "clips": [_clip_as_json(pair.first), _clip_as_json(pair.second)],
        "heads": cosines,
    }


def _clip_as_json(maps: ClipMaps) -> dict[str, Any]:
    clip = maps.clip
    return {"name": maps.name, "playback_speed": clip.playback_speed, "frame_indices": list(clip.frame_indices)}
