"""What an ingest refuses, how it says so, and what happens when too little is left."""

from pathlib import Path

import pytest
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.pipeline import IngestResult, ingest
from rspnet_platform.ingest.refusal_limit import TooManyRefusalsError
from rspnet_platform.shards.dataset import open_dataset, read_table
from rspnet_platform.videos.refusal_reasons import RefusalReason

from tests.orchestration.test_ingest_pipeline import config_of


def reasons(output: Path) -> dict[str, str]:
    rows = read_table(str(output / "refusals.parquet")).to_pylist()
    return {row["path"]: row["reason"] for row in rows}


def test_too_many_refusals_make_no_data_set(video_folder: Path, tmp_path: Path) -> None:
    """The error counts by reason and shows examples, the table is written; a larger fraction then goes on."""
    (video_folder / "up" / "junk.mp4").write_bytes(b"junk")
    output = tmp_path / "out"
    with pytest.raises(TooManyRefusalsError, match=r"1 of 7 videos were refused.*up to 10%") as caught:
        ingest(config_of(video_folder, output))
    assert "unreadable: 1" in str(caught.value)
    assert "up/junk.mp4" in str(caught.value)
    assert reasons(output) == {"up/junk.mp4": "unreadable"}
    assert not (output / "dataset.json").exists()
    assert ingest(config_of(video_folder, output, max_refused_fraction=0.2)).num_videos == 6


def test_nothing_usable_makes_no_data_set(tmp_path: Path) -> None:
    """Even if every refusal is allowed, an empty data set is not."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "junk.mp4").write_bytes(b"junk")
    with pytest.raises(TooManyRefusalsError, match="at least one usable video"):
        ingest(config_of(tmp_path / "in", tmp_path / "out", max_refused_fraction=1.0))


def test_each_refusal_has_its_reason(video_folder: Path, tmp_path: Path) -> None:
    """Duplicates name the first, missing files, folders and paths outside are refused one by one."""
    (video_folder / "copy.mp4").write_bytes((video_folder / "up" / "up_0.mp4").read_bytes())
    names = ["up/up_0.mp4", "copy.mp4", "gone.mp4", "../escape.mp4", "up"]
    (video_folder / "list.csv").write_text("\n".join(["path", *names]))
    output = tmp_path / "out"
    result = ingest(config_of(video_folder / "list.csv", output, max_refused_fraction=1.0))
    assert result.refused_by_reason == {"outside_root": 1, "duplicate": 1, "not_found": 1, "unreadable": 1}
    found = reasons(output)
    assert (found["gone.mp4"], found["../escape.mp4"]) == ("not_found", "outside_root")
    duplicate = next(r for r in read_table(str(output / "refusals.parquet")).to_pylist() if r["reason"] == "duplicate")
    assert {duplicate["path"], duplicate["detail"].removeprefix("the same bytes as ")} == {
        "copy.mp4",
        "up/up_0.mp4",
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"short_side": 127}, "short_side is 127; accepted: an even number"),
        ({"max_refused_fraction": 1.5}, "max_refused_fraction is 1.5; accepted: 0 to 1"),
        ({"num_processes": 0}, "num_processes is 0; accepted: 1 or more"),
        ({"timeout_seconds": 0.0}, "timeout_seconds is 0.0; accepted: more than 0"),
    ],
)
def test_wrong_settings_fail_when_built(changes: dict, message: str) -> None:
    """The value and what would be accepted are named before anything starts."""
    with pytest.raises(ValueError, match=message):
        IngestConfig(source="-", output="-", **changes)


def test_each_reason_has_its_sentence() -> None:
    """People read sentences, each of its own."""
    sentences = [reason.sentence for reason in RefusalReason]
    assert all(sentence.endswith(".") for sentence in sentences)
    assert len(set(sentences)) == len(sentences)


def test_the_collection_of_bad_videos(shared_data: Path, tmp_path: Path) -> None:
    """Every file is taken or refused with a reason; none stops the ingest or is lost."""
    output = tmp_path / "out"
    config = IngestConfig(source=str(shared_data / "bad_videos"), output=str(output), max_refused_fraction=1)
    result: IngestResult = ingest(config)
    assert result.num_videos + result.num_refused == 20
    assert "crashed" not in result.refused_by_reason
    found = reasons(output)
    junk = [
        "zero_bytes.avi",
        "random_bytes.mp4",
        "text_renamed.mp4",
        "mp4_no_moov.mp4",
        "avi_header_only.avi",
    ]
    assert {found[name] for name in junk} == {"unreadable"}
    assert (found["audio_only.mp4"], found["one_frame.mp4"]) == ("no_video_stream", "too_short")
    assert (found["avi_truncated_10.avi"], found["mp4_bitflips_mdat_200.mp4"]) == ("incomplete", "damaged")
    taken = {row["video_id"]: row["num_frames"] for row in open_dataset(str(output)).videos.to_pylist()}
    duplicates = [name for name, reason in found.items() if reason == "duplicate"]
    names = [
        "-leading-dash.avi",
        "avi_wrong_ext.mp4",
        "mp4_wrong_ext.avi",
        "name with spaces & ünïcode #1 (x).mp4",
    ]
    assert len(duplicates) == 2
    assert sorted([*duplicates, *(name for name in taken if name in names)]) == sorted(names)
    assert (taken["two_frames.avi"], taken["ffv1_gray.mkv"], taken["fps1.mp4"]) == (2, 30, 10)
