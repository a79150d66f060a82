"""Sheets of what a task's heads find alike, small enough for a page."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from markupsafe import Markup
from PIL import Image

from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.data_config import Decoder
from rspnet_platform.visualise.checkpoint_task import load_checkpoint_task
from rspnet_platform.visualise.chosen_videos import choose_videos
from rspnet_platform.visualise.compared_clips import compared_clips
from rspnet_platform.visualise.map_colours import ColourScale
from rspnet_platform.visualise.page_shell import render_fragment
from rspnet_platform.visualise.roi_sheet import draw_sheet
from rspnet_platform.visualise.task_clips import ComparedPair, compare, task_clips
from rspnet_platform.waiting_bar import waiting_bar

QUALITY = 82


@dataclass(frozen=True, kw_only=True)
class RoiSheet:
    """A WebP in base64, and what it shows in words."""

    webp_base64: str
    width: int
    height: int
    description: str


def make_roi_sheets(
    checkpoint: str, dataset: ShardedDataset, *, split: str, num_videos: int, seed: int, decoder: Decoder | None
) -> tuple[list[RoiSheet], int]:
    """The first pair of each of `num_videos` videos, and how many could not be shown. Raises ValueError for a method
    that compares no clips, naming those that do, and where no video is left."""
    videos = choose_videos(dataset, split, video_ids=(), num_videos=num_videos, seed=seed)
    loaded = load_checkpoint_task(checkpoint)
    compared = compared_clips(loaded.task, loaded.config.task_name, loaded.config.clips.num_clips)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loaded.task.to(device)
    clips = task_clips(dataset, videos, loaded.config, decoder=decoder, seed=seed)
    sheets = []
    with waiting_bar("RoI maps", "video", total=len(videos), num_left=len(videos)) as bar:
        for each in clips:
            sheets.append(_sheet(compare(each, compared, device)[0], loaded.uri))
            bar.update()
    if not sheets:
        raise ValueError(f"none of {len(videos)} videos could be shown: all are damaged or too short for the task")
    return sheets, len(videos) - len(sheets)


def render_roi_sheets(sheets: Sequence[RoiSheet], num_left_out: int) -> Markup:
    return render_fragment("roi_sheets.html.jinja", sheets=sheets, num_left_out=num_left_out)


def _sheet(pair: ComparedPair, checkpoint: str) -> RoiSheet:
    scale = ColourScale.of(each.values for maps in (pair.first, pair.second) for each in maps.maps)
    picture = Image.open(io.BytesIO(draw_sheet(pair, scale, checkpoint)))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY, method=4)
    heads = ", ".join(f"{each.head} {each.cosine:+.3f}" for each in pair.first.maps)
    return RoiSheet(
        webp_base64=base64.b64encode(buffer.getvalue()).decode(),
        width=picture.width,
        height=picture.height,
        description=f"what {heads} find alike in two clips of {pair.video.video_id}",
    )
