"""Sheets and movies of what a task's heads find alike: the right clips, networks, pictures and numbers."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.visualise.chosen_videos import ChosenVideo, choose_videos
from rspnet_platform.visualise.compared_clips import COMPARISONS, compared_clips
from rspnet_platform.visualise.map_colours import MAP_WEIGHT, ColourScale, colour_bar, overlay
from rspnet_platform.visualise.part_configs import DataChoice, RoiMapsConfig
from rspnet_platform.visualise.roi_maps import draw_roi_maps, file_stem
from rspnet_platform.visualise.roi_movie import MIN_SECONDS, SLOWED_DOWN, draw_movie
from rspnet_platform.visualise.roi_sheet import GAP, GUTTER, LINE_HEIGHT, MARGIN, TITLE_HEIGHT, draw_sheet
from rspnet_platform.visualise.task_clips import (
    ClipMaps,
    ComparedPair,
    HeadMap,
    ShownClip,
    TaskClips,
    compare,
    task_clips,
)
from torch import Tensor

from rspnet_core.normalisation import NORMALISATIONS
from rspnet_core.random_streams import random_stream
from rspnet_core.sampling.clip_plan import VideoInfo
from tests.core.tiny_tasks import CONFIGS, VARIANTS
from tests.damaged_dataset import damage_videos
from tests.task_checkpoint import smaller, write_checkpoint
from tests.videos import encode_video, numbered_pictures


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tensors are tiny here: on a busy machine a second thread costs many times what it gives."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


COMPARED = [name for name, config in {**CONFIGS, **VARIANTS}.items() if config.task_name in COMPARISONS]
SIDE = 128
"""Of pictures that are neither enlarged nor made smaller."""


def config_of(name: str, crop_size: int = 32) -> Any:
    return smaller({**CONFIGS, **VARIANTS}[name], crop_size)


def embeddings(task: Any, name: str, clips: Tensor) -> list[dict[str, Tensor]]:
    """What the loss compares, of each clip of one video, by the task's own functions in eval mode."""
    first, others = clips[:1], clips[1:].split(1)
    with torch.no_grad():
        if name.startswith("rspnet"):
            feature_map = task.encoder(first)
            query = {"RSP": task.speed_head(feature_map), "A-VID": task.instance_head(feature_map)}
            keys = [{"A-VID": both[:, 0], "RSP": both[:, 1]} for both in map(task._key_embeddings, others)]
            return [query, *keys]
        head = {"relative_speed": "RSP", "appearance_instance": "A-VID"}.get(name.split(",")[0], "contrast")
        trained = {head: task.head(task.encoder(first))}
        if name.startswith("relative_speed"):
            momentum = [{head: task._momentum_keys(other)} for other in others] if task.has_momentum else None
            return [trained, *(momentum or [{head: task.head(task.encoder(other))} for other in others])]
        if hasattr(task, "_unit_keys"):
            return [trained, *({head: task._unit_keys(other)} for other in others)]
        return [trained, *({head: task.head(task.encoder(other))} for other in others)]


@pytest.mark.parametrize("name", COMPARED)
def test_cosines_are_those_of_the_tasks_own_networks(name: str, small_dataset: ShardedDataset, tmp_path: Path):
    """Query through the trained network, keys through their momentum copies, each head by its own name; on each side
    the map's mean and its offset add up to the cosine."""
    config = config_of(name)
    task = write_checkpoint(tmp_path, config)
    compared = compared_clips(task, config.task_name, config.clips.num_clips)
    videos = choose_videos(small_dataset, "all", video_ids=(), num_videos=2, seed=0)
    found = list(task_clips(small_dataset, videos, config, decoder=None, seed=0))
    assert len(found) == 2
    for clips in found:
        expected = embeddings(task, name, clips.inputs)
        pairs = compare(clips, compared, torch.device("cpu"))
        assert len(pairs) == config.clips.num_clips - 1
        for place, pair in enumerate(pairs, start=1):
            assert (pair.first.clip, pair.second.clip) == (clips.clips[0], clips.clips[place])
            for head in compared.head_names:
                cosine = F.cosine_similarity(expected[0][head], expected[place][head]).item()
                for maps in (pair.first, pair.second):
                    [of_head] = [each for each in maps.maps if each.head == head]
                    assert of_head.cosine == pytest.approx(cosine, abs=1e-5)
                    assert of_head.values.mean() + of_head.offset == pytest.approx(cosine, abs=1e-4)
                    assert of_head.values.shape == maps.clip.pictures.shape[:3]


@pytest.fixture(scope="module")
def numbered_dataset(tmp_path_factory: pytest.TempPathFactory) -> ShardedDataset:
    """Two videos whose frames are as grey as their number times ten."""
    folder = tmp_path_factory.mktemp("numbered")
    for index in range(2):
        path = folder / "videos" / f"{index}.mp4"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode_video(numbered_pictures(20 + index)))
    return open_dataset(ingest(IngestConfig(source=str(folder / "videos"), output=str(folder / "shards"))).output)


@pytest.mark.parametrize("name", ["rspnet", "cvrl", "relative_speed, four speeds"])
def test_clips_are_the_ones_that_the_task_plans(name: str, numbered_dataset: ShardedDataset):
    """Frames and speeds of the task's own sampler, drawn for (seed, video); the pictures are these very frames."""
    config = config_of(name)
    videos = choose_videos(numbered_dataset, "all", video_ids=(), num_videos=9, seed=0)
    for clips in task_clips(numbered_dataset, videos, config, decoder=None, seed=3):
        index = clips.video.video_index
        num_frames = numbered_dataset.videos["num_frames"][index].as_py()
        info = VideoInfo(video_index=index, num_frames=num_frames, frames_per_second=25.0, height=64, width=64)
        plan = config.clips.plan(info, random_stream(3, 0, index, "clips"))
        for clip, spec in zip(clips.clips, plan.clips, strict=True):
            assert (clip.frame_indices, clip.playback_speed) == (spec.frame_indices, spec.playback_speed)
            grey = clip.pictures.mean(axis=(1, 2, 3))
            np.testing.assert_allclose(grey, 10 * np.array(spec.frame_indices), atol=3)


def test_shown_is_what_the_encoder_is_given(small_dataset: ShardedDataset):
    """The input with its normalisation taken back, to the nearest of 256 values; the centre of the picture, no
    augmentation: all clips show one place."""
    config = config_of("rspnet")
    videos = choose_videos(small_dataset, "all", video_ids=(), num_videos=1, seed=0)
    [clips] = task_clips(small_dataset, videos, config, decoder=None, seed=0)
    colours = NORMALISATIONS[config.normalisation]
    mean, std = (torch.tensor(value)[:, None, None, None] for value in (colours.mean, colours.std))
    shown = torch.from_numpy(np.stack([clip.pictures for clip in clips.clips])).permute(0, 4, 1, 2, 3)
    assert ((clips.inputs * std + mean).clamp(0, 1) * 255 - shown).abs().max() <= 0.51
    same = [
        (one, other)
        for one, first in enumerate(clips.clips[1].frame_indices)
        for other, second in enumerate(clips.clips[2].frame_indices)
        if first == second
    ]
    assert same
    assert all((clips.clips[1].pictures[one] == clips.clips[2].pictures[other]).all() for one, other in same)


def test_methods_without_maps_are_refused(tmp_path: Path):
    """With the list of those that have them."""
    task = write_checkpoint(tmp_path, CONFIGS["pace"])
    with pytest.raises(ValueError, match=r"'pace'.* accepted are rspnet, relative_speed, appearance_instance, moco,"):
        compared_clips(task, "pace", 1)


def invented_pair(video_id: str = "clip.avi", label: str | None = "walk") -> ComparedPair:
    """Five frames at 1x beside five at 2x, at 24 frames a second, with maps that grow with time."""
    generator = np.random.default_rng(0)

    def side(name: str, speed: float, offset: float) -> ClipMaps:
        pictures = generator.integers(0, 256, (5, 1, 1, 3), np.uint8).repeat(SIDE, 1).repeat(SIDE, 2)
        grown = np.linspace(0, 1, 5, dtype=np.float32)[:, None, None] * np.ones((1, SIDE, SIDE), np.float32)
        maps = [
            HeadMap(head=head, values=size * grown - offset, map_size=(2, 4, 4), offset=offset, cosine=0.5)
            for head, size in (("RSP", 2.0), ("A-VID", 1.0))
        ]
        indices = tuple(int(speed) * frame for frame in range(5))
        clip = ShownClip(pictures=pictures, frame_indices=indices, playback_speed=speed)
        return ClipMaps(name=name, clip=clip, maps=tuple(maps))

    video = ChosenVideo(video_index=7, video_id=video_id, label=label, frames_per_second=24.0, location=("shard", 0, 0))
    return ComparedPair(video=video, number=1, first=side("query", 1.0, 0.25), second=side("key", 2.0, 0.125))


SCALE = ColourScale(lowest=-0.25, highest=1.875)


def test_one_scale_holds_all_maps_and_zero():
    """From the lowest value, or zero, to the highest; the ends are the ends of the colour map."""
    pair = invented_pair()
    assert ColourScale.of(each.values for maps in (pair.first, pair.second) for each in maps.maps) == SCALE
    assert ColourScale.of([np.full((1, 2, 2), 3.0), np.full((1, 2, 2), 0.5)]) == ColourScale(lowest=0.0, highest=3.0)
    flat = ColourScale.of([np.zeros((1, 2, 2))])
    assert flat.highest > flat.lowest
    bar = colour_bar(256, 2)
    found = SCALE.colours(np.array([-0.25, 1.875, -9.0, 9.0]))
    np.testing.assert_array_equal(found, bar[0, [0, -1, 0, -1]])
    luma = bar[0].astype(float) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(luma) > -0.5).all()


def test_an_overlay_is_the_frame_in_grey_under_the_colours():
    """By hand, of a green pixel under the scale's highest value."""
    picture = np.array([[[0, 200, 0]]], np.uint8)
    top = SCALE.colours(np.array(1.875)).astype(float)
    found = overlay(picture, np.array([[1.875]]), SCALE)
    np.testing.assert_allclose(found[0, 0], MAP_WEIGHT * top + (1 - MAP_WEIGHT) * 0.587 * 200, atol=0.51)


def test_a_sheet_has_a_row_for_each_clip_and_head_and_a_column_for_each_frame():
    """Read back from the PNG: frames, then RSP, then A-VID, of the query, then of the key; below, the scale."""
    pair = invented_pair()
    sheet = np.asarray(Image.open(io.BytesIO(draw_sheet(pair, SCALE, "checkpoint"))))
    top = MARGIN + TITLE_HEIGHT
    for maps in (pair.first, pair.second):
        top += 2 * LINE_HEIGHT
        pictures = maps.clip.pictures
        for row in (pictures, *(overlay(pictures, each.values, SCALE) for each in maps.maps)):
            for column, picture in enumerate(row):
                left = MARGIN + GUTTER + column * (SIDE + GAP)
                np.testing.assert_array_equal(sheet[top : top + SIDE, left : left + SIDE], picture)
            top += SIDE + GAP
        top += LINE_HEIGHT
    assert (sheet[top : top + 14, MARGIN : MARGIN + 260] == colour_bar(260, 14)).all()


def test_long_clips_are_shown_in_eight_columns():
    """The first and the last frame among them."""
    pair = invented_pair()
    frames = np.arange(16) % 5

    def longer(maps: ClipMaps) -> ClipMaps:
        clip = replace(maps.clip, pictures=maps.clip.pictures[frames], frame_indices=tuple(range(16)))
        return replace(maps, clip=clip, maps=tuple(replace(each, values=each.values[frames]) for each in maps.maps))

    pair = replace(pair, first=longer(pair.first), second=longer(pair.second))
    sheet = np.asarray(Image.open(io.BytesIO(draw_sheet(pair, SCALE, "checkpoint"))))
    assert sheet.shape[1] == 2 * MARGIN + GUTTER + 8 * (SIDE + GAP)
    top = MARGIN + TITLE_HEIGHT + 2 * LINE_HEIGHT
    left = MARGIN + GUTTER + 7 * (SIDE + GAP)
    np.testing.assert_array_equal(sheet[top : top + SIDE, left : left + SIDE], pair.first.clip.pictures[-1])


HOSTILE = ["$\\frac{a}{$", "../../etc/passwd", "a\nb\x00c\u202e", "x" * 5000, "", "日本語 \U0001f600"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_strangers_are_text_and_nothing_else(name: str):
    """Drawn without an error, and no part of a path."""
    pair = invented_pair(video_id=name, label=name)
    size = Image.open(io.BytesIO(draw_sheet(pair, SCALE, name))).size
    assert size == Image.open(io.BytesIO(draw_sheet(invented_pair(), SCALE, "x"))).size
    stem = file_stem(pair)
    assert stem.startswith("000007_")
    assert len(stem) < 80
    assert set(stem) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def test_a_movie_shows_both_clips_in_step_and_begins_again():
    """A quarter of the video's speed, long enough to see; in each frame both clips' own picture and overlays."""
    pair = invented_pair()
    with av.open(io.BytesIO(draw_movie(pair, SCALE))) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 24 / SLOWED_DOWN
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]  # pyright: ignore
    assert len(pictures) == 25
    assert len(pictures) * SLOWED_DOWN / 24 >= MIN_SECONDS
    for number in (0, 1, 4, 5, 24):
        for maps in (pair.first, pair.second):
            clip = maps.clip.pictures
            shown = [clip, *(overlay(clip, each.values, SCALE) for each in maps.maps)]
            for row in shown:
                assert has_tile(pictures[number], row[number % 5]), (number, maps.name)


def has_tile(picture: np.ndarray, tile: np.ndarray) -> bool:
    """Whether somewhere as many pixels as a tile has are of its colour, as far as the codec kept it."""
    near = np.abs(picture.astype(int) - tile[0, 0]).max(axis=2) <= 8
    return near.sum() >= 0.9 * SIDE * SIDE


def roi_config(tmp_path: Path, dataset: str, **changes: Any) -> RoiMapsConfig:
    values: dict[str, Any] = {"num_videos": 2, "model": str(tmp_path / "model"), "output": str(tmp_path / "roi")}
    return RoiMapsConfig(data=DataChoice(shards=dataset), **(values | changes))


def test_files_are_written_and_told(small_dataset: ShardedDataset, tmp_path: Path):
    """A sheet and a movie of each pair, both of which open; the same again gives the same bytes."""
    write_checkpoint(tmp_path / "model", config_of("rspnet"))
    result = draw_roi_maps(roi_config(tmp_path, small_dataset.uri))
    files = [name for pair in result["pairs"] for name in pair["files"]]
    assert (result["num_videos"], result["num_left_out"], len(files)) == (2, 0, 8)
    assert result["heads"] == ["RSP", "A-VID"]
    assert sorted(path.name for path in (tmp_path / "roi").iterdir()) == sorted(files)
    first = result["pairs"][0]
    assert first["clips"][0]["playback_speed"] == first["clips"][1]["playback_speed"]
    assert set(first["heads"]) == {"RSP", "A-VID"}
    contents = {name: (tmp_path / "roi" / name).read_bytes() for name in files}
    again = draw_roi_maps(roi_config(tmp_path, small_dataset.uri, output=str(tmp_path / "again")))
    assert again["pairs"] == result["pairs"]
    assert {name: (tmp_path / "again" / name).read_bytes() for name in files} == contents


def test_named_videos_come_in_the_order_asked(small_dataset: ShardedDataset, tmp_path: Path):
    """Whatever lies between them in the shards; one that does not exist is refused with examples."""
    write_checkpoint(tmp_path / "model", config_of("moco"))
    ids = small_dataset.videos["video_id"].to_pylist()
    wanted = (ids[20], ids[1], ids[9])
    result = draw_roi_maps(roi_config(tmp_path, small_dataset.uri, videos=wanted))
    assert [pair["video_id"] for pair in result["pairs"]] == list(wanted)
    with pytest.raises(ValueError, match="has no video 'nobody'; its videos are called 'class_"):
        draw_roi_maps(roi_config(tmp_path, small_dataset.uri, videos=("nobody",)))


def test_a_damaged_video_is_left_out_and_counted(
    small_dataset: ShardedDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """The others are shown all the same; with none left it is an error."""
    write_checkpoint(tmp_path / "model", config_of("rspnet"))
    damaged = damage_videos(small_dataset, tmp_path / "damaged", {3})
    ids = small_dataset.videos["video_id"].to_pylist()
    result = draw_roi_maps(roi_config(tmp_path, damaged, videos=(ids[3], ids[4])))
    assert (result["num_videos"], result["num_left_out"]) == (1, 1)
    assert f"left out: {ids[3]!r}" in capsys.readouterr().err
    with pytest.raises(ValueError, match="none of the 1 videos could be shown"):
        draw_roi_maps(roi_config(tmp_path, damaged, videos=(ids[3],)))


def test_a_draw_is_spread_over_the_classes(small_dataset: ShardedDataset):
    """Half of each of two classes, other videos with another seed, and all there are when more are wanted."""
    drawn = [choose_videos(small_dataset, "all", video_ids=(), num_videos=6, seed=seed) for seed in (0, 0, 1)]
    assert [video.label for video in drawn[0]] == ["class_0"] * 3 + ["class_1"] * 3
    assert drawn[0] == drawn[1] != drawn[2]
    everyone = choose_videos(small_dataset, "all", video_ids=(), num_videos=99, seed=0)
    assert sorted(video.video_index for video in everyone) == list(range(24))


def test_clips_of_a_task_do_not_depend_on_the_other_videos(small_dataset: ShardedDataset):
    """A video's clips are the same alone and among others."""
    config = config_of("rspnet")
    videos = choose_videos(small_dataset, "all", video_ids=(), num_videos=3, seed=0)
    among = {clips.video: clips for clips in task_clips(small_dataset, videos, config, decoder=None, seed=0)}
    [alone] = task_clips(small_dataset, videos[1:2], config, decoder=None, seed=0)
    assert isinstance(alone, TaskClips)
    assert torch.equal(alone.inputs, among[videos[1]].inputs)


@pytest.mark.parametrize("changes", [{"num_videos": 0}, {"num_videos": 201}, {"videos": ("a",) * 201}, {"seed": -1}])
def test_numbers_out_of_range_are_refused(changes: dict[str, Any], tmp_path: Path):
    with pytest.raises(ValueError, match="accepted are"):
        roi_config(tmp_path, "x", **changes)
