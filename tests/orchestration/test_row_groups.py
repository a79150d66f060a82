"""Reading rows out of shards: one request a row group, and damage told apart from a store that fails."""

import shutil
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rspnet_platform import storage
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.shards import shard_footers
from rspnet_platform.shards.packet_reader import DamagedVideoError, read_frames
from rspnet_platform.shards.row_groups import read_row_group, read_videos
from rspnet_platform.shards.schema import SHARD_SCHEMA, parquet_options
from rspnet_platform.shards.shard_config import ShardConfig

from tests.videos import encode_video, moving_pictures

SHARD = "shard-00000.parquet"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of six videos in three row groups of one shard."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "videos").mkdir()
    for index in range(6):
        pictures = moving_pictures(10 + index, 64, 80, seed=index)
        (folder / "videos" / f"{index}.mp4").write_bytes(encode_video(pictures))
    config = IngestConfig(
        source=str(folder / "videos"),
        output=str(folder / "out"),
        short_side=32,
        num_processes=1,
        shards=ShardConfig(max_videos_per_row_group=2),
    )
    return Path(ingest(config).output)


@pytest.fixture
def shard(whole: Path, tmp_path: Path) -> Path:
    """The shard of a copy, of which this process remembers nothing."""
    return shutil.copytree(whole, tmp_path / "out") / SHARD


def flip(path: Path, position: int) -> None:
    with open(path, "r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 0xFF]))


def rewrite(path: Path, change) -> None:
    """The shard again, its rows changed by `change(rows)`, row group by row group."""
    file = pq.ParquetFile(path)
    groups = [file.read_row_group(i) for i in range(file.num_row_groups)]
    with pq.ParquetWriter(path, groups[0].schema, **parquet_options()) as writer:
        for group in groups:
            writer.write_table(change(group))


def test_rows_come_in_the_order_asked(shard: Path) -> None:
    """Any rows of a row group, in any order; they decode as they are, from views of one buffer."""
    videos = read_videos(str(shard.parent), SHARD, 1, [1, 0])
    assert [video.info.video_index for video in videos] == [3, 2]
    for video in videos:
        assert isinstance(video.data, memoryview)
        wanted = range(video.info.num_frames)
        assert sorted(read_frames(video.data, video.index, wanted)) == list(wanted)


def test_a_row_group_costs_one_request(shard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the footer is known, one contiguous range is asked of the store, and nothing else."""
    fsspec.filesystem("memory").pipe_file("memory://one/request/" + SHARD, shard.read_bytes())
    asked = []
    read_range, num_bytes = storage.read_range, storage.num_bytes

    monkeypatch.setattr(storage, "read_range", lambda *a: asked.append(a) or read_range(*a))
    monkeypatch.setattr(storage, "num_bytes", lambda *a: asked.append(a) or num_bytes(*a))
    read_row_group("memory://one/request", SHARD, 0)
    assert len(asked) == 3  # size, footer, row group
    asked.clear()
    groups = [read_row_group("memory://one/request", SHARD, i) for i in (2, 1)]
    assert [len(group.batch) for group in groups] == [2, 2]
    assert len(asked) == 2


def test_a_flipped_byte_costs_one_video(shard: Path) -> None:
    """Wherever in a video's bytes it is; the others of its row group are read."""
    video = bytes(read_videos(str(shard.parent), SHARD, 1, [0])[0].data)
    start = shard.read_bytes().index(video)
    for position in (0, len(video) // 2, len(video) - 1):
        flip(shard, start + position)
        group = read_row_group(str(shard.parent), SHARD, 1)
        with pytest.raises(DamagedVideoError, match=rf"row 0 of row group 1 of .*{SHARD} .* checksum differs"):
            group.video(0)
        assert group.video(1).info.video_index == 3
        flip(shard, start + position)
    assert read_row_group(str(shard.parent), SHARD, 1).video(0).info.video_index == 2


@pytest.mark.parametrize("column", ["video_index", "num_frames", "frames_per_second", "height", "width", "checksum"])
def test_every_number_of_a_row_is_checked(shard: Path, column: str) -> None:
    """A row whose numbers are not those that were written is damaged: a wrong height would read other pixels."""

    def change(group: pa.Table) -> pa.Table:
        values = group[column].to_pylist()
        position = group.schema.get_field_index(column)
        field = group.schema.field(column)
        return group.set_column(position, field, pa.array([values[0], values[1] + 2], field.type))

    rewrite(shard, change)
    group = read_row_group(str(shard.parent), SHARD, 0)
    assert group.video(0).info.video_index == 0
    with pytest.raises(DamagedVideoError, match="checksum differs"):
        group.video(1)


def test_no_flipped_byte_gets_through(shard: Path) -> None:
    """Each byte of a row group, one after the other: what is still read is what was written."""
    whole = shard.read_bytes()
    before = read_videos(str(shard.parent), SHARD, 0, [0, 1])
    start, end = shard_footers.shard_footer(str(shard)).byte_range(0)
    num_damaged = 0
    for position in range(start, end, 7):
        flip(shard, position)
        for row in (0, 1):
            try:
                video = read_row_group(str(shard.parent), SHARD, 0).video(row)
            except DamagedVideoError:
                num_damaged += 1
                continue
            assert video.info == before[row].info
            assert bytes(video.data) == bytes(before[row].data)
            for name, values in vars(video.index).items():
                assert (values == getattr(before[row].index, name)) is True or (
                    values == getattr(before[row].index, name)
                ).all()
        flip(shard, position)
    assert shard.read_bytes() == whole
    assert num_damaged > (end - start) // 7


@pytest.mark.parametrize("num_bytes_left", [0, 3, 11, 1000, -1, -9, -200])
def test_a_truncated_shard_is_damage(shard: Path, num_bytes_left: int) -> None:
    """However little of it is left (or however little is missing): its videos are lost, the store is not at fault."""
    shard.write_bytes(shard.read_bytes()[:num_bytes_left])
    with pytest.raises(DamagedVideoError, match=SHARD):
        read_row_group(str(shard.parent), SHARD, 0)


def test_what_has_been_read_before_does_not_hide_damage(shard: Path) -> None:
    """The footer that a process keeps is not believed once what arrives does not fit it."""
    read_row_group(str(shard.parent), SHARD, 2)
    shard.write_bytes(shard.read_bytes()[:5000])
    with pytest.raises(DamagedVideoError, match="does not end as a shard does"):
        read_row_group(str(shard.parent), SHARD, 2)


def test_what_has_been_read_before_does_not_hide_a_loss(shard: Path) -> None:
    """A shard that goes away while a process reads from it is damage; a folder that goes away is not."""
    read_row_group(str(shard.parent), SHARD, 2)
    shard.unlink()
    with pytest.raises(DamagedVideoError, match=f"{SHARD} is missing"):
        read_row_group(str(shard.parent), SHARD, 2)


def test_what_has_been_read_before_does_not_hide_a_lost_folder(shard: Path) -> None:
    """A disk that is unmounted while a process reads from it is a fault of storage."""
    read_row_group(str(shard.parent), SHARD, 2)
    shutil.rmtree(shard.parent)
    with pytest.raises(storage.StorageError, match=rf"cannot read .*{SHARD}: .* is not there"):
        read_row_group(str(shard.parent), SHARD, 2)


def test_a_data_set_made_anew_is_read_anew(shard: Path) -> None:
    """At the same place, by a process that has read the one before."""
    read_row_group(str(shard.parent), SHARD, 2)
    rewrite(shard, lambda group: group.slice(1))
    assert read_row_group(str(shard.parent), SHARD, 2).video(0).info.video_index == 5


def test_a_missing_shard_is_damage_and_a_missing_folder_is_not(shard: Path) -> None:
    """One file that is gone is lost; a folder that is gone is a disk that is not mounted."""
    shard.unlink()
    with pytest.raises(DamagedVideoError, match=rf"{SHARD} is missing"):
        read_row_group(str(shard.parent), SHARD, 0)
    with pytest.raises(storage.StorageError, match=r"cannot read .*nowhere is not there"):
        read_row_group(str(shard.parent / "nowhere"), SHARD, 0)


def test_an_io_error_is_the_stores_fault(tmp_path: Path) -> None:
    """What the system refuses to read is not damage: here a folder in the place of the shard."""
    (tmp_path / SHARD).mkdir()
    with pytest.raises(storage.StorageError, match=rf"cannot read .*{SHARD}"):
        read_row_group(str(tmp_path), SHARD, 0)


def test_a_store_that_fails_in_between_is_at_fault(shard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When it gave the footer and not the row group, nothing is known of the row group's bytes."""
    end_of_file, read_range = shard.stat().st_size, storage.read_range

    def fail_before_the_end(uri: str, start: int, num_bytes: int) -> bytes:
        if start + num_bytes < end_of_file:
            raise storage.StorageError(f"cannot read {uri}: away")
        return read_range(uri, start, num_bytes)

    monkeypatch.setattr(storage, "read_range", fail_before_the_end)
    with pytest.raises(storage.StorageError, match="away"):
        read_row_group(str(shard.parent), SHARD, 0)


def test_other_columns_are_damage(shard: Path) -> None:
    """A Parquet file that is no shard of ours, and places that the shard does not have, are the bytes' fault."""
    for row, row_group in ((2, 1), (-1, 1), (0, 3), (0, -1)):
        with pytest.raises(DamagedVideoError, match=rf"row {'group ' if row == 0 else ''}-?\d.* was asked of it"):
            read_row_group(str(shard.parent), SHARD, row_group).video(row)
    pq.write_table(pa.table({"video_index": [1, 2]}), shard)
    with pytest.raises(DamagedVideoError, match="its columns are"):
        read_row_group(str(shard.parent), SHARD, 0)
    nullable = pa.schema([field.with_nullable(True) for field in SHARD_SCHEMA])
    pq.write_table(pa.table({name: pa.nulls(1, nullable.field(name).type) for name in nullable.names}), shard)
    with pytest.raises(DamagedVideoError, match="its columns are"):
        read_row_group(str(shard.parent), SHARD, 0)


def test_footers_are_kept_within_bounds(shard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that meets many shards does not hold on to all of their footers."""
    monkeypatch.setattr(shard_footers, "MAX_FOOTERS_KEPT", 2)
    for index in range(4):
        copy = shard.with_name(f"shard-0000{index + 1}.parquet")
        copy.write_bytes(shard.read_bytes())
        read_row_group(str(shard.parent), copy.name, 0)
    assert [uri[-9:] for uri in shard_footers._footers] == ["3.parquet", "4.parquet"]
