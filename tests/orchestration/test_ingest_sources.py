"""What an ingest lists: folders, CSVs, what it skips by name, and paths that may not be opened at all."""

import ast
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import fsspec
import pytest
from rspnet_platform.ingest.layouts.source_listing import SkipReason
from rspnet_platform.ingest.sources import list_videos
from rspnet_platform.videos.refusal_reasons import RefusalReason


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def test_class_folders_label_their_videos(tmp_path: Path) -> None:
    """The label is the first folder; deeper folders only group; videos at the root have none."""
    touch(tmp_path, "b/1.mp4", "a/deep/er/2.AVI", "0.mkv")
    listing = list_videos(str(tmp_path))
    assert [(v.video_id, v.label) for v in listing.videos] == [
        ("0.mkv", None),
        ("a/deep/er/2.AVI", "a"),
        ("b/1.mp4", "b"),
    ]


def test_nothing_is_dropped_in_silence(tmp_path: Path) -> None:
    """Other files and hidden ones are listed as skipped."""
    touch(tmp_path, "a/1.mp4", "a/.2.mp4", ".cache/3.mp4", "README.md", "a/noextension")
    listing = list_videos(str(tmp_path))
    assert [v.video_id for v in listing.videos] == ["a/1.mp4"]
    assert listing.skipped_files == (".cache/3.mp4", "README.md", "a/.2.mp4", "a/noextension")


def test_a_link_back_up_ends(tmp_path: Path) -> None:
    """A folder that links to its own parent is walked once."""
    touch(tmp_path, "a/1.mp4")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert [v.video_id for v in list_videos(str(tmp_path)).videos] == ["a/1.mp4"]


def test_a_second_link_to_a_folder_is_listed(tmp_path: Path) -> None:
    """Its videos have the label of the folder itself, in whatever order a disk lists them."""
    (tmp_path / "walk").mkdir()
    (tmp_path / "walk" / "a.mp4").write_bytes(b"")
    (tmp_path / "another").symlink_to(tmp_path / "walk")
    listing = list_videos(str(tmp_path))
    assert [(video.video_id, video.label) for video in listing.videos] == [("walk/a.mp4", "walk")]
    assert [(file.path, file.reason) for file in listing.skipped] == [("another/", SkipReason.SAME_FOLDER)]


LISTED_BY_SOMEBODY_ELSE = """
import os, sys
from rspnet_platform.ingest.sources import list_videos
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
listing = list_videos(sys.argv[1])
print([video.video_id for video in listing.videos])
print([(file.path, str(file.reason)) for file in listing.skipped])
print([(refusal.path, str(refusal.reason), refusal.detail) for refusal in listing.refusals])
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_folders_that_may_not_be_read_stop_nothing() -> None:
    """They are listed, a hidden one as passed over, another one as refused, and all else is taken."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own are closed to others
        root = Path(name)
        root.chmod(0o755)
        for folder in ("run", ".Trash-1000", "lost+found"):
            (root / folder).mkdir()
            (root / folder / "a.mp4").write_bytes(b"")
        (root / ".Trash-1000").chmod(0o700)
        (root / "lost+found").chmod(0o700)
        done = subprocess.run([sys.executable, "-c", LISTED_BY_SOMEBODY_ELSE, name], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [ast.literal_eval(line) for line in done.stdout.splitlines()] == [
        ["run/a.mp4"],
        [(".Trash-1000/", "unreadable_hidden_folder")],
        [("lost+found/", "unreadable", "the folder cannot be listed: Permission denied")],
    ]


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """No table can hold such a name: the file is refused under a readable one instead of ending the ingest."""
    touch(tmp_path, "a/1.mp4")
    for name in (b"a/\xff.mp4", b"a/\xfe.txt"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"x")
    listing = list_videos(str(tmp_path))
    assert [video.video_id for video in listing.videos] == ["a/1.mp4"]
    (refusal,) = listing.refusals
    assert (refusal.path, refusal.reason) == ("a/\\udcff.mp4", RefusalReason.UNREADABLE)
    assert listing.skipped_files == ("a/\\udcfe.txt",)


def test_a_csv_names_path_label_split_and_source(tmp_path: Path) -> None:
    """Known columns are read, empty cells are None, others are ignored; odd names survive; so does a BOM."""
    text = 'extra,path,label,split,source\n1,"-x, ünï #1 (y).mp4",jump,train,s1\n2,b/../c.avi,,,\n'
    (tmp_path / "list.csv").write_text(text, encoding="utf-8-sig")
    listing = list_videos(str(tmp_path / "list.csv"))
    first, second = listing.videos
    assert (first.video_id, first.label, first.split, first.source) == (
        "-x, ünï #1 (y).mp4",
        "jump",
        "train",
        "s1",
    )
    assert (second.video_id, second.label, second.split) == ("c.avi", None, None)
    assert second.path == str(tmp_path / "c.avi")


def test_paths_of_a_csv_cannot_leave_the_root(tmp_path: Path) -> None:
    """`..`, paths elsewhere, links out and other schemes are refused; absolute paths inside are not."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    touch(root, "in.mp4")
    touch(outside, "out.mp4")
    (root / "link.mp4").symlink_to(outside / "out.mp4")
    bad = ["../outside/out.mp4", str(outside / "out.mp4"), "link.mp4", "s3://b/x.mp4", "file:///etc/passwd"]
    rows = ["path", *bad, str(root / "in.mp4")]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    listing = list_videos(str(tmp_path / "list.csv"), str(root))
    assert [v.video_id for v in listing.videos] == ["in.mp4"]
    assert [refusal.path for refusal in listing.refusals] == bad
    assert {refusal.reason for refusal in listing.refusals} == {RefusalReason.OUTSIDE_ROOT}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing", None, "does not exist; accepted: a folder of videos or a CSV"),
        ("a.mp4", "x", "is a file; accepted: a folder of videos or a .csv"),
        ("a.csv", "file,label\nx,y\n", "no column 'path'; columns found: file, label"),
        ("a.csv", "", "no column 'path'; columns found: none"),
        ("a.csv", "path\n", "holds no videos"),
        ("a.csv", "path,label\n ,x\n", "line 2 of .* has no path"),
        ("a.csv", b"path\n\xff\xfe\n", "is not UTF-8"),
    ],
)
def test_unusable_sources_are_named(tmp_path: Path, name: str, content: str | bytes | None, message: str) -> None:
    """Each mistake gets one error that says what would be accepted."""
    if content is not None:
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ValueError, match=message):
        list_videos(str(tmp_path / name))


@pytest.mark.parametrize("uri", ["s3://bucket//videos", "s3://bucket/a/./b", "gs://bucket/a//b.csv"])
def test_keys_that_clients_cannot_ask_for_are_named(uri: str) -> None:
    """They would be taken for others, and not be found."""
    with pytest.raises(
        ValueError, match=rf"{uri} has a part that is empty or of dots alone; accepted: keys without //"
    ):
        list_videos(uri)


def test_a_folder_without_videos_is_named(tmp_path: Path) -> None:
    """An empty source is a mistake, with the number of files that were no videos."""
    touch(tmp_path, "a.txt")
    with pytest.raises(ValueError, match="holds no videos \\(1 other files\\)"):
        list_videos(str(tmp_path))


def test_object_stores_list_like_folders() -> None:
    """Folders and CSVs of a remote store give the same listing as local ones, and the same refusals."""
    store = fsspec.filesystem("memory")
    for name in ("a/1.mp4", "b/2.avi", "notes.txt"):
        store.pipe_file(f"/listing/{name}", b"x")
    store.pipe_file("/listing/list.csv", b"path,label\na/1.mp4,a\n../out.mp4,b\ns3://other/x.mp4,c\n")
    listing = list_videos("memory://listing")
    assert [(v.video_id, v.label) for v in listing.videos] == [("a/1.mp4", "a"), ("b/2.avi", "b")]
    assert listing.skipped_files == ("list.csv", "notes.txt")
    listing = list_videos("memory://listing/list.csv")
    assert [v.path for v in listing.videos] == ["memory://listing/a/1.mp4"]
    assert [refusal.path for refusal in listing.refusals] == ["../out.mp4", "s3://other/x.mp4"]
