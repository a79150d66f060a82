"""The format of shards, the description of a data set, and reading from both."""

import dataclasses
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rspnet_platform import storage
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.shards.dataset import DatasetDescription, open_dataset
from rspnet_platform.shards.schema import SCHEMA_VERSION, SHARD_SCHEMA
from rspnet_platform.shards.shard_config import ShardConfig
from rspnet_platform.shards.shard_layout import ShardLayout


@pytest.fixture
def dataset_folder(video_folder: Path, tmp_path: Path) -> Path:
    shards = ShardConfig(max_videos_per_row_group=2)
    output = tmp_path / "out"
    config = IngestConfig(source=str(video_folder), output=str(output), short_side=32, num_processes=1, shards=shards)
    ingest(config)
    return output


def test_videos_are_stored_as_they_are(dataset_folder: Path) -> None:
    """The video column is neither compressed nor dictionary-coded nor summed up; row groups close in time."""
    file = pq.ParquetFile(dataset_folder / "shard-00000.parquet")
    assert file.schema_arrow.equals(SHARD_SCHEMA)
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [2, 2, 2]
    columns = [file.metadata.row_group(0).column(i) for i in range(file.metadata.num_columns)]
    video = next(column for column in columns if column.path_in_schema == "video")
    assert video.compression == "UNCOMPRESSED"
    assert video.statistics is None
    assert not any("DICTIONARY" in encoding for encoding in video.encodings)
    assert {c.compression for c in columns if c.path_in_schema != "video"} == {"ZSTD"}


def test_the_description_survives_json(dataset_folder: Path) -> None:
    """`from_json` is the inverse of `to_json`, through a file."""
    description = open_dataset(str(dataset_folder)).description
    restored = DatasetDescription.from_json(json.loads(json.dumps(description.to_json())), "x")
    assert restored == description
    assert (description.schema_version, description.profile, description.num_videos) == (SCHEMA_VERSION, "indexed", 6)


def test_an_unknown_version_is_refused(dataset_folder: Path) -> None:
    """A reader does not guess at a format that it does not know."""
    path = dataset_folder / "dataset.json"
    value = json.loads(path.read_text())
    path.write_text(json.dumps(value | {"schema_version": SCHEMA_VERSION + 1}))
    with pytest.raises(ValueError, match=r"dataset\.json has schema version 3; accepted: 2"):
        open_dataset(str(dataset_folder))


def test_no_data_set_says_how_to_make_one(tmp_path: Path) -> None:
    """A folder without dataset.json, and no folder at all, point to the ingest."""
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ValueError, match=r"is not a data set: no dataset\.json; make one with python jobs/ing"):
            open_dataset(str(path))


def test_writes_are_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing write leaves the old file and no temporary one, and names the file."""
    target = tmp_path / "a" / "b.json"
    storage.write_json(str(target), {"x": 1})

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(storage.StorageError, match=r"cannot write .*b\.json: .*No space left"):
        storage.write_json(str(target), {"x": 2})
    assert storage.read_json(str(target)) == {"x": 1}
    assert storage.list_names(str(tmp_path / "a")) == ["b.json"]


def test_remote_storage_behaves_like_a_folder() -> None:
    """The same functions work on a store by URI; what is missing is a FileNotFoundError there too."""
    storage.write_json("memory://bucket/a/b.json", [1])
    assert storage.exists("memory://bucket/a/b.json")
    assert storage.read_json("memory://bucket/a/b.json") == [1]
    assert storage.list_names("memory://bucket/a") == ["b.json"]
    assert storage.list_names("memory://bucket/none") == []
    with pytest.raises(FileNotFoundError, match="memory://bucket/none"):
        storage.read_bytes("memory://bucket/none")
    storage.delete_folder("memory://bucket/a")
    assert not storage.exists("memory://bucket/a/b.json")
    with pytest.raises(storage.StorageError, match="cannot use nosuch://"):
        storage.exists("nosuch://x")


def test_shard_sizes_are_checked() -> None:
    """A wrong size fails when it is built."""
    for field in dataclasses.fields(ShardConfig):
        with pytest.raises(ValueError, match=f"{field.name} is 0; accepted: 1 or more"):
            ShardConfig(**{field.name: 0})


def test_places_depend_on_sizes_alone() -> None:
    """A row group closes with the row that fills it, by bytes or by number; a shard closes with a row group."""
    layout = ShardLayout(5, ShardConfig(row_group_bytes=10, max_videos_per_row_group=3, shard_bytes=20))
    places, closed = [], []
    for num_bytes in (10, 4, 4, 1, 1, 30, 2):
        place = layout.add(num_bytes)
        places.append((place.shard_index, place.row_group, place.row))
        closed.append(layout.is_between_shards)
    assert places == [(5, 0, 0), (5, 1, 0), (5, 1, 1), (5, 1, 2), (5, 2, 0), (5, 2, 1), (6, 0, 0)]
    assert closed == [False, False, False, False, False, True, False]


def test_a_table_outside_the_folder_is_not_followed(dataset_folder: Path) -> None:
    """What a description names is a file beside it: a data set of a stranger cannot point elsewhere."""
    path = dataset_folder / "dataset.json"
    value = json.loads(path.read_text())
    for name in ("../videos.parquet", "/etc/passwd", "videos.csv"):
        path.write_text(json.dumps(value | {"videos_file": name}))
        with pytest.raises(ValueError, match="accepted: a Parquet file in the data set's own folder"):
            open_dataset(str(dataset_folder))


def test_a_description_without_versions_is_version_1(dataset_folder: Path) -> None:
    """As those are that were made before data sets could be added to."""
    path = dataset_folder / "dataset.json"
    value = json.loads(path.read_text())
    added = ("version", "videos_file", "refusals_file", "num_already_present", "frames_per_second")
    for name in (*added, "test_fraction", "split_seed"):
        del value[name]
    path.write_text(json.dumps(value))
    assert open_dataset(str(dataset_folder)).description.version == 1
    assert open_dataset(str(dataset_folder), version=1).description.videos_file == "videos.parquet"
