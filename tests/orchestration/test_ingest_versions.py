"""Videos added to a data set: a new version beside the old ones, nothing rewritten, nothing counted twice."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rspnet_platform.config import PretrainConfig
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.ingest.refusal_limit import TooManyRefusalsError
from rspnet_platform.run import open_dataset_of_run, settle
from rspnet_platform.shards.dataset import ShardedDataset, find_version, open_dataset, read_refusals
from rspnet_platform.shards.row_groups import read_row_group
from rspnet_platform.stream.data_config import DataConfig
from rspnet_platform.train.run_record import RunRecord
from rspnet_platform.train.train_config import RunIdentity

from tests.orchestration.test_ingest_pipeline import REPOSITORY, config_of, contents
from tests.videos import encode_video, moving_pictures


@pytest.fixture
def more_videos(tmp_path: Path) -> Path:
    """Three more, of a class of their own."""
    folder = tmp_path / "more"
    (folder / "left").mkdir(parents=True)
    for index in range(3):
        pictures = moving_pictures(9, 64, 80, seed=50 + index)
        (folder / "left" / f"left_{index}.mp4").write_bytes(encode_video(pictures))
    return folder


@pytest.fixture
def dataset_folder(video_folder: Path, tmp_path: Path) -> Path:
    """Version 1: six videos and one refusal."""
    (video_folder / "up" / "junk.mp4").write_bytes(b"junk")
    ingest(config_of(video_folder, tmp_path / "out", max_refused_fraction=0.5))
    return tmp_path / "out"


def add_config(source: Path, output: Path, **changes) -> IngestConfig:
    return config_of(source, output, add=True, **changes)


def readable_ids(dataset: ShardedDataset) -> list[str]:
    """The ids that the shards hold at the places that the table names, checksums verified."""
    rows = dataset.videos.to_pylist()
    return [read_row_group(dataset.uri, row["shard"], row["row_group"]).video(row["row"]).video_id for row in rows]


def test_a_new_version_leaves_the_old_one_as_it_was(dataset_folder: Path, more_videos: Path) -> None:
    """Numbers go on, classes and counts are of all videos, files of version 1 keep their bytes, and whoever opened it
    goes on reading."""
    before, opened = contents(dataset_folder), open_dataset(str(dataset_folder))
    result = ingest(add_config(more_videos, dataset_folder))
    assert (result.version, result.num_videos, result.num_added, result.num_already_present) == (2, 9, 3, 0)
    assert (result.num_refused, result.refused_by_reason) == (1, {"unreadable": 1})
    after = contents(dataset_folder)
    kept = [name for name in before if name.startswith(("shard-", "videos", "refusals", "versions/"))]
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    new, old = open_dataset(str(dataset_folder)), open_dataset(str(dataset_folder), version=1)
    assert old.videos.equals(opened.videos)
    assert old.description == opened.description
    assert new.videos.slice(0, 6).equals(old.videos)
    assert new.description.class_names == ("down", "left", "up")
    assert new.videos["video_index"].to_pylist() == list(range(9))
    assert readable_ids(new) == new.videos["video_id"].to_pylist()
    assert readable_ids(opened) == opened.videos["video_id"].to_pylist()
    assert set(new.videos["shard"].to_pylist()[6:]).isdisjoint(old.videos["shard"].to_pylist())


def test_versions_are_asked_for_by_number(dataset_folder: Path, more_videos: Path) -> None:
    """One that is not there is refused with those that are; a hash finds the version that it stands for."""
    ingest(add_config(more_videos, dataset_folder))
    uri = str(dataset_folder)
    for version in (0, 3):
        with pytest.raises(ValueError, match=f"has no version {version}; accepted: 1 to 2"):
            open_dataset(uri, version=version)
    for version in (1, 2):
        assert find_version(uri, open_dataset(uri, version).description.manifest_sha256) == version
    assert find_version(uri, "0" * 64) is None


def test_splits_and_refusals_cover_all_versions(video_folder: Path, more_videos: Path, tmp_path: Path) -> None:
    """Counts of splits add up; version 2 lists the refusals of both, version 1 its own."""
    names = sorted(path.name for path in (video_folder / "up").iterdir())
    listing = ["path,split", *(f"up/{name},train" for name in names), "gone.mp4,train"]
    (video_folder / "list.csv").write_text("\n".join(listing))
    output = tmp_path / "out"
    ingest(config_of(video_folder / "list.csv", output, max_refused_fraction=0.5))
    (more_videos / "left" / "junk.mp4").write_bytes(b"junk")
    listing = ["path,split", "left/left_0.mp4,train", "left/left_1.mp4,test", "left/junk.mp4,test"]
    (more_videos / "list.csv").write_text("\n".join(listing))
    result = ingest(add_config(more_videos / "list.csv", output, max_refused_fraction=0.5))
    assert open_dataset(str(output)).description.splits == {"test": 1, "train": 4}
    assert result.refused_by_reason == {"not_found": 1, "unreadable": 1}
    assert [row["path"] for row in read_refusals(str(output))] == ["gone.mp4", "left/junk.mp4"]
    assert [row["path"] for row in read_refusals(str(output), version=1)] == ["gone.mp4"]


def test_a_grown_source_adds_what_is_new(dataset_folder: Path, video_folder: Path) -> None:
    """The source of version 1 with one more video: what is there is counted and not stored again, what was refused is
    not refused again, and neither counts against the limit."""
    for name in ("junk_1.mp4", "junk_2.mp4"):
        (video_folder / "down" / name).write_bytes(name.encode())
    ingest(add_config(video_folder, dataset_folder, max_refused_fraction=1.0))
    (video_folder / "up" / "up_9.mp4").write_bytes(encode_video(moving_pictures(9, 64, 80, seed=99)))
    result = ingest(add_config(video_folder, dataset_folder, max_refused_fraction=0.0))
    assert (result.version, result.num_added, result.num_already_present) == (3, 1, 6)
    assert (result.num_videos, result.num_refused) == (7, 3)


def test_nothing_new_makes_no_version(dataset_folder: Path, video_folder: Path) -> None:
    """Everything there already, less one file that has gone since: the data set stays as it is."""
    (video_folder / "up" / "up_0.mp4").unlink()
    before = contents(dataset_folder)
    result = ingest(add_config(video_folder, dataset_folder))
    assert (result.version, result.num_added, result.num_already_present) == (1, 0, 5)
    assert result.already_complete
    assert contents(dataset_folder) == before


def test_the_same_commands_again_do_nothing(dataset_folder: Path, video_folder: Path, more_videos: Path) -> None:
    """Both the command that made version 1 and the one that added find themselves complete and say what they made."""
    first = ingest(config_of(video_folder, dataset_folder, max_refused_fraction=0.5))
    added = ingest(add_config(more_videos, dataset_folder))
    before = contents(dataset_folder)
    again = ingest(add_config(more_videos, dataset_folder))
    assert again.to_json() == added.to_json() | {"already_complete": True}
    assert (first.version, first.num_videos, first.num_added, first.already_complete) == (1, 6, 6, True)
    assert ingest(config_of(video_folder, dataset_folder, max_refused_fraction=0.5)).num_videos == 6
    assert contents(dataset_folder) == before


def test_other_bytes_under_a_taken_id_are_refused(dataset_folder: Path, video_folder: Path, tmp_path: Path) -> None:
    """So are the same bytes with another label; known content under a new id is a duplicate of the known one."""
    other = tmp_path / "other"
    shutil.copytree(video_folder, other)
    (other / "up" / "junk.mp4").unlink()
    (other / "up" / "up_0.mp4").write_bytes(encode_video(moving_pictures(9, 64, 80, seed=77)))
    (other / "up" / "up_1.mp4").rename(other / "up" / "renamed.mp4")
    (other / "list.csv").write_text(
        "path,label\nup/up_0.mp4,up\nup/renamed.mp4,up\nup/up_2.mp4,down\ndown/down_0.mp4,\ndown/down_1.mp4,down"
    )
    result = ingest(add_config(other / "list.csv", dataset_folder, max_refused_fraction=1.0))
    assert (result.num_added, result.num_already_present) == (0, 2)
    details = {row["path"]: (row["reason"], row["detail"]) for row in read_refusals(str(dataset_folder))}
    assert details["up/up_0.mp4"][0] == "id_taken"
    assert "other bytes under this id" in details["up/up_0.mp4"][1]
    assert details["up/up_2.mp4"] == (
        "id_taken",
        "the data set has the same bytes under this id, with label 'up' instead of 'down'",
    )
    assert details["up/renamed.mp4"] == ("duplicate", "the same bytes as up/up_1.mp4")


def test_a_prefix_keeps_sources_apart(dataset_folder: Path, tmp_path: Path) -> None:
    """Another source with the same names is added under ids of its own, in the refusals too."""
    (tmp_path / "second" / "up").mkdir(parents=True)
    (tmp_path / "second" / "up" / "up_0.mp4").write_bytes(encode_video(moving_pictures(9, 64, 80, seed=77)))
    (tmp_path / "second" / "up" / "junk.mp4").write_bytes(b"more junk")
    config = add_config(tmp_path / "second", dataset_folder, video_id_prefix="second/", max_refused_fraction=0.5)
    assert ingest(config).num_added == 1
    assert open_dataset(str(dataset_folder)).videos["video_id"].to_pylist()[-1] == "second/up/up_0.mp4"
    assert [row["path"] for row in read_refusals(str(dataset_folder))] == ["up/junk.mp4", "second/up/junk.mp4"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"short_side": 48}, "short_side is 48, its own is 32"),
        ({"frames_per_second": 5.0}, "frames_per_second is 5.0, its own is None"),
        ({"profile": "original"}, "profile is 'original', its own is 'indexed'"),
    ],
)
def test_settings_must_be_those_of_the_data_set(dataset_folder: Path, more_videos: Path, changes, message) -> None:
    """Videos of another kind are not mixed in; the error names both values, and nothing is written."""
    before = contents(dataset_folder)
    with pytest.raises(ValueError, match=f"cannot be added to with these settings: .*{message}"):
        ingest(add_config(more_videos, dataset_folder, **changes))
    assert contents(dataset_folder) == before


def test_adding_needs_a_data_set_and_making_one_none(dataset_folder: Path, more_videos: Path, tmp_path: Path) -> None:
    """Each of the two mistakes names the way out."""
    with pytest.raises(ValueError, match=r"no complete data set at .* to add to; accepted: the same without --add"):
        ingest(add_config(more_videos, tmp_path / "empty"))
    with pytest.raises(ValueError, match=r"holds another data set: 6 videos.*accepted: --add to add these"):
        ingest(config_of(more_videos, dataset_folder))


def test_too_many_refusals_count_the_new_videos_only(dataset_folder: Path, more_videos: Path) -> None:
    """One of four new ones is more than 20 %, however many the data set has; version 1 stays whole."""
    (more_videos / "left" / "junk.mp4").write_bytes(b"junk")
    before = contents(dataset_folder)
    with pytest.raises(TooManyRefusalsError, match=r"(?s)1 of 4 new videos were refused.*refusals-00002\.parquet"):
        ingest(add_config(more_videos, dataset_folder, max_refused_fraction=0.2))
    assert open_dataset(str(dataset_folder)).description.version == 1
    after = contents(dataset_folder)
    assert {name: after[name] for name in before} == before
    assert ingest(add_config(more_videos, dataset_folder, max_refused_fraction=0.25)).num_added == 3


def test_videos_that_are_there_do_not_dilute_what_is_refused(dataset_folder: Path, video_folder: Path) -> None:
    """The grown source lists six that are there, one that is refused already, one good and one broken new video."""
    (video_folder / "up" / "up_9.mp4").write_bytes(encode_video(moving_pictures(9, 64, 80, seed=99)))
    (video_folder / "up" / "junk_9.mp4").write_bytes(b"more junk")
    with pytest.raises(TooManyRefusalsError, match=r"1 of 2 new videos were refused"):
        ingest(add_config(video_folder, dataset_folder, max_refused_fraction=0.4))
    assert ingest(add_config(video_folder, dataset_folder, max_refused_fraction=0.5)).num_added == 1


def test_an_interrupted_add_resumes_and_shows_nothing(dataset_folder: Path, more_videos: Path, tmp_path: Path) -> None:
    """Killed after its second video, version 1 is the newest and whole; another command is refused; the same one ends
    with the bytes of an undisturbed one."""
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(dataset_folder, undisturbed)
    ingest(add_config(more_videos, undisturbed))
    before = contents(dataset_folder)
    code = (
        "import os; from pathlib import Path; from rspnet_platform.ingest.pipeline import ingest\n"
        "from tests.orchestration.test_ingest_versions import add_config\n"
        "from rspnet_platform.shards.shard_config import ShardConfig\n"
        f"config = add_config(Path({str(more_videos)!r}), Path({str(dataset_folder)!r}))\n"
        "ingest(config, lambda done, *_: os._exit(9) if done == 3 else None)\n"
    )
    paths = {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'platform'}"}
    assert subprocess.run([sys.executable, "-c", code], env=paths, cwd=REPOSITORY, timeout=60).returncode == 9
    during = contents(dataset_folder)
    assert {name: during[name] for name in before} == before
    assert during.keys() - before.keys() >= {"_ingest/ingest.json", "_ingest/record-00000.json", "shard-00003.parquet"}
    assert open_dataset(str(dataset_folder)).description.version == 1
    with pytest.raises(ValueError, match=r"remains of another ingest, in _ingest: .*that folder _ingest once deleted"):
        ingest(add_config(more_videos, dataset_folder, seed=5))
    assert ingest(add_config(more_videos, dataset_folder)).num_added == 3
    assert contents(dataset_folder) == contents(undisturbed)


def test_a_version_appears_with_its_description(
    dataset_folder: Path, more_videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash before dataset.json is replaced leaves version 1, although every other file of version 2 is there."""
    from rspnet_platform import storage
    from rspnet_platform.ingest import manifest

    write_json = storage.write_json

    def fail_at_the_end(uri: str, value: object) -> None:
        if uri.endswith("/dataset.json"):
            raise storage.StorageError(f"cannot write {uri}: away")
        write_json(uri, value)

    monkeypatch.setattr(manifest.storage, "write_json", fail_at_the_end)
    with pytest.raises(storage.StorageError, match="away"):
        ingest(add_config(more_videos, dataset_folder))
    assert (dataset_folder / "versions" / "dataset-00002.json").exists()
    assert len(open_dataset(str(dataset_folder)).videos) == 6
    with pytest.raises(ValueError, match="has no version 2; accepted: 1 to 1"):
        open_dataset(str(dataset_folder), version=2)
    monkeypatch.undo()
    assert ingest(add_config(more_videos, dataset_folder)).num_added == 3
    assert json.loads((dataset_folder / "dataset.json").read_text())["version"] == 2


def test_a_run_goes_on_with_the_version_that_it_began_on(
    dataset_folder: Path, more_videos: Path, tmp_path: Path
) -> None:
    """Its record's hash picks the version; a new run takes the newest, and `data.version` any."""
    old = open_dataset(str(dataset_folder))
    ingest(add_config(more_videos, dataset_folder))
    record = RunRecord(stage="training", mlflow_run_id="id", dataset_sha256=old.description.manifest_sha256, config={})
    record.save(str(tmp_path / "runs" / "begun"))
    assert open_dataset_of_run(str(dataset_folder), None, str(tmp_path / "runs" / "begun")).videos.equals(old.videos)
    assert open_dataset_of_run(str(dataset_folder), 1, str(tmp_path / "runs" / "new")).description == old.description

    def settled(name: str) -> PretrainConfig:
        run = RunIdentity(name=name, storage=str(tmp_path / "runs"))
        return settle(PretrainConfig(data=DataConfig(shards=str(dataset_folder)), run=run), tmp_path).config

    assert settled("begun").data.version == 1
    assert settled("new").data.version == 2
