"""Lists that people write by hand: a mistake in one would not show in what comes of it."""

from pathlib import Path

import pytest
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.list_faults import MAX_SHOWN_FAULTS
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.ingest.sources import list_videos
from rspnet_platform.videos.refusal_reasons import RefusalReason

from tests.videos import SHARED_DATA, encode_video, moving_pictures

FOUND = SHARED_DATA / "found" / "lists"


def listed(folder: Path, text: str) -> list[tuple[str, str | None, str | None]]:
    """What a CSV of that text says: path, label and split of each video."""
    (folder / "list.csv").write_text(text)
    videos = list_videos(str(folder / "list.csv")).videos
    return [(video.video_id, video.label, video.split) for video in videos]


@pytest.mark.parametrize(
    "text",
    [
        "path, label, split\n1.mp4, run, train\n2.mp4, walk, test\n",
        " Path ,LABEL,Split\n1.mp4,run,Train\n2.mp4,walk, TEST\n",
        "\ufeffpath,label,split\r\n1.mp4,run,train\r\n\r\n2.mp4,walk,test\r\n",
        'split,path,label\ntrain,1.mp4,"run"\n"testing","2.mp4",walk\n',
        'path, label, split\n1.mp4, "run", train\n2.mp4, walk, test\n',
    ],
    ids=["blanks", "capitals", "windows", "order and quotes", "blanks before quotes"],
)
def test_blanks_and_capitals_do_not_matter(tmp_path: Path, text: str) -> None:
    """Ignored, the columns would have left every video without label and split: test videos were pretrained on."""
    assert listed(tmp_path, text) == [("1.mp4", "run", "train"), ("2.mp4", "walk", "test")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "path,label,split\n1.mp4,eating, drinking,train\n",
            r"line 2 of .* has 4 cells \('1.mp4', 'eating', ' drin.*quotes",
        ),
        ("path,label,split\n1.mp4,run\n", r"line 2 of .* has 2 cells .* the header has 3"),
        ("path,lable\n1.mp4,run\n", r"line 1 of .* has the column 'lable': is 'label' meant\?"),
        ("path,splits\n1.mp4,test\n", r"line 1 of .* has the column 'splits': is 'split' meant\?"),
        ("path,label,Label\n1.mp4,run,walk\n", r"line 1 of .* has the column 'label' twice"),
        ("path,split\n1.mp4,tset\n", r"line 2 of .* has split 'tset': is 'test' meant\?"),
        ("path,split\n1.mp4,Mine\n2.mp4,mine\n", r"line 3 of .* has split 'mine', line 2 of .* has 'Mine'"),
        (
            "path,label,split\n1.mp4,run,train\n./1.mp4,walk,test\n",
            r"line 2 of .*'run'.* and line 3 of .*'walk'.* one file",
        ),
        ('path,label\n1.mp4,"run\n', r"line 2 of .* is not CSV"),
        ("path,\n1.mp4,run\n", r"line 2 of .* has the cell 'run' in a column without a name"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """With its line, and what would be accepted."""
    with pytest.raises(ValueError, match=message):
        listed(tmp_path, text)


def test_all_faults_come_in_one_error(tmp_path: Path) -> None:
    """In the order of the list, their number before them; of many the first."""
    rows = [f"{index}.mp4,run,too,many" for index in range(100)]
    with pytest.raises(ValueError, match=r"the lists have 101 faults") as caught:
        listed(tmp_path, "\n".join(["path,lable", *rows]))
    lines = str(caught.value).splitlines()
    assert len(lines) == MAX_SHOWN_FAULTS + 2
    assert "'lable'" in lines[1]
    assert [f"line {index} of" in line for index, line in enumerate(lines[2:-1], 2)] == [True] * (MAX_SHOWN_FAULTS - 1)
    assert lines[-1].strip() == f"and {101 - MAX_SHOWN_FAULTS} more"


def test_the_same_row_twice_is_one_video(tmp_path: Path) -> None:
    """The second is refused, with both lines."""
    assert listed(tmp_path, "path,label\n1.mp4,run\n./1.mp4,run\n") == [("1.mp4", "run", None)]
    [refusal] = list_videos(str(tmp_path / "list.csv")).refusals
    assert refusal.reason == RefusalReason.DUPLICATE
    assert refusal.detail.startswith("line 3 of ")
    assert "line 2 of " in refusal.detail


def test_what_is_not_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A column of another name, and labels that differ in capitals alone."""
    for index, name in enumerate(("1.mp4", "2.mp4")):
        (tmp_path / name).write_bytes(encode_video(moving_pictures(12, 48, 64, seed=index)))
    (tmp_path / "list.csv").write_text("path,label,camera\n1.mp4,run,a\n2.mp4,Run,b\n")
    ingest(IngestConfig(source=str(tmp_path / "list.csv"), output=str(tmp_path / "out"), short_side=32))
    said = capsys.readouterr().err
    assert "1 column is not read: camera" in said
    assert "labels that differ in capitals alone are different classes: ['Run', 'run']" in said


@pytest.mark.skipif(not FOUND.is_dir(), reason="needs the shared videos")
def test_lists_found_in_use() -> None:
    """One is read as it was meant, the others are refused."""
    videos = list_videos(str(FOUND / "header_with_spaces.csv")).videos
    assert [(video.label, video.split) for video in videos] == [("run", "train"), ("walk", "test")]
    for name, message in (
        ("comma_in_label", "line 2 of .* has 4 cells"),
        ("listed_twice", "line 2 of .* and line 3 of "),
    ):
        with pytest.raises(ValueError, match=message):
            list_videos(str(FOUND / f"{name}.csv"))
