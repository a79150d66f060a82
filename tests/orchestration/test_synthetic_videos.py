"""The embedded data set: complete or nothing, deterministic, and with the motions that it promises."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from rspnet_platform.ingest.sources import list_videos
from rspnet_platform.synthetic_scenes import APPEARANCES, MOTIONS, draw_scene, render_scene
from rspnet_platform.synthetic_videos import SyntheticVideosConfig, render, render_video

from tests.videos import decode_all

SMALL = SyntheticVideosConfig(num_videos_per_combination=4, num_frames=6)


def test_every_combination_is_there_once_rendered(tmp_path: Path) -> None:
    """4 motions by 4 appearances in class folders, 3/4 train; a second call changes nothing."""
    path = render(tmp_path / "videos", SMALL)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 4 * 4
    assert Counter(row["split"] for row in rows) == {"train": 48, "test": 16}
    assert {row["label"] for row in rows} == {f"{motion}_{look}" for motion in MOTIONS for look in APPEARANCES}
    assert len({row["source"] for row in rows}) == 64
    assert all((path.parent / row["path"]).is_file() for row in rows)
    assert list_videos(str(path)).notes == ()
    (path.parent / rows[0]["path"]).unlink()
    assert render(tmp_path / "videos", SMALL) == path
    assert not (path.parent / rows[0]["path"]).exists()


def test_an_unfinished_folder_is_rendered_anew(tmp_path: Path) -> None:
    """Without the marker nothing is trusted; with another configuration's marker nothing is overwritten."""
    path = render(tmp_path, SMALL)
    first = path.parent / "bouncing_ringed_star" / "bouncing_ringed_star_000.mp4"
    before = first.read_bytes()
    (tmp_path / "synthetic_videos.json").unlink()
    first.write_bytes(b"half")
    render(tmp_path, SMALL)
    assert first.read_bytes() == before
    with pytest.raises(ValueError, match="or another folder"):
        render(tmp_path, SyntheticVideosConfig(num_videos_per_combination=5))


def test_videos_depend_on_the_seed_alone() -> None:
    """Equal seeds give equal bytes, other seeds and other indices other pictures."""
    first = render_video(SMALL, "pulsing", "striped_disc", 1)
    assert first == render_video(SMALL, "pulsing", "striped_disc", 1)
    assert first != render_video(SMALL, "pulsing", "striped_disc", 2)
    frames = decode_all(first)
    assert len(frames) == 6
    assert frames[0].shape == (144, 128)


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("appearance", APPEARANCES)
def test_motions_are_what_they_are_called(motion: str, appearance: str) -> None:
    """The object's centre moves only when it bounces or circles, its area changes only when it pulses."""
    scene = draw_scene(motion, appearance, 96, 128, np.random.default_rng(3))
    pictures = render_scene(scene, 48)[:, :96].astype(int)
    is_object = np.abs(pictures - np.rint(scene.background[:96])) > 12
    areas = is_object.sum((1, 2))
    y, x = (np.array([axis.mean() for axis in map(lambda m, k=k: np.nonzero(m)[k], is_object)]) for k in (0, 1))
    travelled = np.hypot(np.ptp(x), np.ptp(y))
    assert (travelled > 20) == (motion in ("bouncing", "circling"))
    assert (areas.max() / areas.min() > 2) == (motion == "pulsing")
    assert not np.array_equal(pictures[0], pictures[10])
