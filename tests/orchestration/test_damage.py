"""Damaged videos: what is counted, what is listed, how many are too many, and who is told."""

import os
from pathlib import Path

import pyarrow as pa
import pytest
from rspnet_platform import storage
from rspnet_platform.shards import row_groups
from rspnet_platform.shards.packet_reader import DamagedVideoError
from rspnet_platform.stream import loaded_row_groups
from rspnet_platform.stream.clip_decoding import SampleRecipe
from rspnet_platform.stream.clip_source import Share, read_share
from rspnet_platform.stream.damage import DamageBudget, DamageLedger, with_video_ids
from rspnet_platform.stream.data_config import DataConfig
from rspnet_platform.stream.loaded_row_groups import LoadedRowGroups
from rspnet_platform.train.watches import CollapsedError, DamageWatch, RunStoppedError, shared_by_all_ranks

from rspnet_core.sampling.speed_pairs import SpeedPairSampler
from rspnet_core.sampling.views import ViewConfig
from tests.damaged_dataset import damage_videos
from tests.gloo import on_each_worker

VIDEOS = pa.table({"video_index": list(range(24)), "video_id": [f"id_{index}" for index in range(24)]})


def budget(folder: str, fraction: float, num_videos: int = 24) -> DamageBudget:
    return DamageBudget(ledger=DamageLedger(uri=folder), num_videos=num_videos, max_damaged_fraction=fraction)


def test_a_video_is_counted_once(damage_folder) -> None:
    """In every epoch, and by a task that is run again; what a killed worker half wrote does not count."""
    ledger = DamageLedger(uri=damage_folder)
    assert (ledger.count(), ledger.entries()) == (0, [])
    for epoch in (0, 1, 1):
        for video_index in (11, 2):
            ledger.enter(video_index, epoch=epoch, error="bad")
    (Path(damage_folder) / ".3.json.abc.partial").write_text("{")
    assert ledger.count() == 2
    assert ledger.entries() == [{"video_index": index, "epoch": 1, "error": "bad"} for index in (2, 11)]


@pytest.mark.parametrize(
    ("fraction", "num_videos", "allowed"),
    [(0.0, 1000, 0), (0.01, 24, 1), (0.01, 100, 1), (0.01, 101, 2), (0.07, 100, 7), (0.01, 300, 3), (1.0, 24, 24)],
)
def test_the_budget_is_a_fraction_rounded_up(damage_folder, fraction, num_videos, allowed) -> None:
    """So that a tiny data set may miss one video, 0 allows none, and 7 % of 100 are 7."""
    it = budget(damage_folder, fraction, num_videos)
    assert it.num_allowed == allowed
    assert it.excess(allowed) is None
    excess = it.excess(allowed + 1)
    assert excess is not None
    assert f"{allowed + 1} of the {num_videos} videos" in excess
    assert f"--data.max-damaged-fraction {fraction:g} allows {allowed}" in excess


def test_the_complaint_says_all_that_helps(damage_folder) -> None:
    """How many of how many, the first few by the table's ids with their errors, where the list is, what to change."""
    it = budget(damage_folder, 0.1)
    for index in range(3):
        it.ledger.enter(index, epoch=0, error=f"error {index}")
    assert it.complaint(VIDEOS) is None
    for index in range(3, 7):
        it.ledger.enter(index, epoch=0, error=f"error {index}")
    lines = str(it.complaint(VIDEOS)).splitlines()
    assert "7 of the 24 videos to train on are damaged, and --data.max-damaged-fraction 0.1 allows 3:" in lines[0]
    assert lines[1:6] == [f"  id_{index}: error {index}" for index in range(5)]
    assert lines[6] == "  and 2 more"
    assert damage_folder in lines[7]
    assert with_video_ids(it.ledger.entries(), VIDEOS)[6]["video_id"] == "id_6"


def test_an_impossible_fraction_is_refused() -> None:
    """Named, with what is accepted."""
    for fraction in (-0.1, 1.5):
        with pytest.raises(ValueError, match=rf"max_damaged_fraction is {fraction}; accepted are numbers from 0 to 1"):
            DataConfig(max_damaged_fraction=fraction)


def test_the_watch_counts_and_asks_for_a_stop(damage_folder, monkeypatch) -> None:
    """The count is in the metrics of every step; a slow listing is not repeated before a hundred times its time."""
    clock = iter(range(0, 10_000, 5))  # five seconds pass between two looks, and in each listing
    monkeypatch.setattr("rspnet_platform.train.watches.time.monotonic", lambda: float(next(clock)))
    it = budget(damage_folder, 0.05)
    watch = DamageWatch(budget=it)
    assert watch.look(1, {}).metrics == {"data/num_damaged_videos": 0.0}
    for index in range(3):
        it.ledger.enter(index, epoch=0, error="bad")
    seen = [watch.look(step, {}) for step in range(2, 110)]
    first = next(position for position, each in enumerate(seen) if each.stop_reason)
    assert first == 99
    assert seen[first].metrics == {"data/num_damaged_videos": 3.0}
    assert seen[first].stop_reason == it.excess(3)


def words_heard(rank: int) -> list[tuple[str, str] | None]:
    words = (None, RunStoppedError("too many"), CollapsedError("ü" * 5000))
    heard = [shared_by_all_ranks(word if rank == 0 else None) for word in words]
    return [None if word is None else (type(word).__name__, str(word)) for word in heard]


def test_all_ranks_hear_the_first_ranks_word(tmp_path) -> None:
    """Also that there is nothing to say, and also where there is one process alone."""
    words = [None, ("RunStoppedError", "too many"), ("CollapsedError", "ü" * 5000)]
    assert on_each_worker(words_heard, tmp_path) == [words] * 2
    alone = RunStoppedError("alone")
    assert shared_by_all_ranks(alone) is alone


def share(dataset, uri: str, damage_folder: str) -> Share:
    rows = dataset.videos.to_pylist()
    return Share(
        dataset_uri=uri,
        epochs=(0,) * len(rows),
        video_indices=tuple(row["video_index"] for row in rows),
        locations=tuple((row["shard"], row["row_group"], row["row"]) for row in rows),
        recipe=SampleRecipe(sampler=SpeedPairSampler(num_frames_per_clip=4), views=(ViewConfig(crop_size=32),), seed=7),
        num_rows_per_block=4,
        num_samples_per_visit=1,
        damage=DamageLedger(uri=damage_folder),
    )


def video_indices(blocks) -> list[int]:
    return [int(index) for block in blocks for index in block["video_index"].to_pylist()]


def test_a_task_goes_on_after_a_row_group_that_cannot_be_read(small_dataset, damage_folder, monkeypatch) -> None:
    """Its videos are entered by their indices, which the plan knows; all others come, in order."""
    read = row_groups.read_row_group

    def read_all_but_one(uri: str, shard: str, row_group: int) -> row_groups.RowGroup:
        if row_group == 2:
            raise DamagedVideoError("cut off")
        return read(uri, shard, row_group)

    monkeypatch.setattr(loaded_row_groups, "read_row_group", read_all_but_one)
    all_of_it = share(small_dataset, small_dataset.uri, damage_folder)
    lost = [i for i, (_, group, _) in zip(all_of_it.video_indices, all_of_it.locations, strict=True) if group == 2]
    seen = video_indices(read_share(all_of_it))
    assert len(lost) == 4
    assert seen == [index for index in range(24) if index not in lost]
    entries = all_of_it.damage.entries()
    assert [(entry["video_index"], entry["error"]) for entry in entries] == [(index, "cut off") for index in lost]


def test_a_row_of_another_video_is_damage(small_dataset, damage_folder) -> None:
    """Where the table and the shard contradict each other, no video passes for another."""
    all_of_it = share(small_dataset, small_dataset.uri, damage_folder)
    groups = LoadedRowGroups(small_dataset.uri, [all_of_it.locations[7]] * 2)
    assert groups.take(all_of_it.locations[7], 7).info.video_index == 7
    with pytest.raises(DamagedVideoError, match="holds video 7"):
        groups.take(all_of_it.locations[7], 8)


def test_damaged_rows_leave_their_neighbours_alone(small_dataset, damage_folder, tmp_path) -> None:
    """Two videos of one row group and one of another."""
    uri = damage_videos(small_dataset, tmp_path / "damaged", {4, 5, 17})
    assert video_indices(read_share(share(small_dataset, uri, damage_folder))) == [
        index for index in range(24) if index not in (4, 5, 17)
    ]
    assert [entry["video_index"] for entry in DamageLedger(uri=damage_folder).entries()] == [4, 5, 17]


def test_a_store_that_fails_is_no_damage(small_dataset, damage_folder, monkeypatch) -> None:
    """The task fails with the store's error, and nothing is entered."""

    def fail(*_: object) -> None:
        raise storage.StorageError("cannot read s3://x: away (tried 9 times in 41 s)")

    monkeypatch.setattr(storage, "read_range", fail)
    with pytest.raises(storage.StorageError, match="tried 9 times"):
        list(read_share(share(small_dataset, small_dataset.uri, damage_folder)))
    assert not os.path.exists(damage_folder)


def test_row_groups_are_let_go_of_after_their_last_row(small_dataset) -> None:
    """A task holds those that it still needs, each read once."""
    rows = [row for row in small_dataset.videos.to_pylist() if row["row_group"] in (0, 1)]
    locations = [(row["shard"], row["row_group"], row["row"]) for row in rows]
    groups = LoadedRowGroups(small_dataset.uri, locations)
    held = []
    for location, row in zip(locations, rows, strict=True):
        groups.take(location, row["video_index"])
        held.append(len(groups._groups._held))
    assert held == [1, 1, 1, 0, 1, 1, 1, 0]
