"""What an ingest makes of the published data sets' folders and lists, and how it refuses lists that contradict."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fsspec
import pytest
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.layouts.source_layout import SourceLayout
from rspnet_platform.ingest.layouts.source_listing import SkippedFile, SkipReason, SourceListing
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.ingest.sources import list_videos
from rspnet_platform.shards.dataset import open_dataset
from rspnet_platform.videos.refusal_reasons import RefusalReason

from tests.videos import encode_video, moving_pictures

UCF101 = {
    "v/Archery/v_Archery_g01_c01.avi": "x",
    "v/Archery/v_Archery_g08_c01.avi": "x",
    "v/HandstandPushups/v_HandStandPushups_g08_c02.avi": "x",  # published with two spellings
    "v/HandstandPushups/v_HandStandPushups_g99_c01.avi": "x",
    "lists/classInd.txt": "1 Archery\r\n2 HandstandPushups\r\n",
    "lists/trainlist01.txt": "Archery/v_Archery_g08_c01.avi 1\r\nHandstandPushups/v_HandStandPushups_g08_c02.avi 2\r\n",
    "lists/testlist01.txt": "Archery/v_Archery_g01_c01.avi\r\nArchery/v_Archery_g01_c02.avi\r\n",
    "lists/trainlist02.txt": "Archery/v_Archery_g01_c01.avi 1\n",
    "lists/testlist02.txt": "Archery/v_Archery_g08_c01.avi\n",
}
CLIMB = "(HQ)_Rock_Climbing_-_Free_Solo;#1_climb_f_cm_np1_"
HMDB51 = {
    f"v/climb/{CLIMB}ba_med_0.avi": "x",
    f"v/climb/{CLIMB}fr_med_4.avi": "x",
    "v/climb/rope_climb_[Age_4]_climb_f_cm_np1_ri_med_0.avi": "x",
    "v/kick/KUNG_FU_&_kick_u_cm_np1_le_med_12.avi": "x",
    "lists/climb_test_split1.txt": f"{CLIMB}ba_med_0.avi 1 \n{CLIMB}fr_med_4.avi 0 \n"
    "rope_climb_[Age_4]_climb_f_cm_np1_ri_med_0.avi 2 \n",
    "lists/kick_test_split1.txt": "KUNG_FU_&_kick_u_cm_np1_le_med_12.avi 1 \n",
    "lists/climb_test_split3.txt": f"{CLIMB}fr_med_4.avi 2 \n",
}
KINETICS = {
    "v/train/air_drumming/-3B32lodo2M_000059_000069.mp4": "x",
    "v/train/replacement/-3B32lodo2M_000059_000069.mp4": "x",
    "v/val/_dbcJuKJQNs_000040_000050.mkv": "x",
    "v/test/AAAAAAAAAAA_000000_000010.mp4": "x",
    "v/train/air_drumming/unlisted_000001_000002.mp4": "x",
    "lists/train.csv": "label,youtube_id,time_start,time_end,split,is_cc\n"
    '"air drumming",-3B32lodo2M,59,69,train,0\nyoga,DEADLINK000,4,14,train,0\n',
    "lists/validate.csv": "label,youtube_id,time_start,time_end,split\nyoga,_dbcJuKJQNs,40,50,validate\n",
    "lists/test.csv": "youtube_id,time_start,time_end,split\nAAAAAAAAAAA,0,10,test\n",
}
SOMETHING = {
    "v/78687.webm": "x",
    "v/42326.webm": "x",
    "v/1.webm": "x",
    "lists/labels.json": json.dumps({"Holding something next to something": "0", "Something falling": "1"}),
    "lists/train.json": json.dumps(
        [{"id": "78687", "label": "holding potato", "template": "Holding [something] next to [something]"}]
    ),
    "lists/validation.json": json.dumps([{"id": "42326", "template": "[Something] falling", "placeholders": ["pen"]}]),
    "lists/test.json": json.dumps([{"id": "1"}]),
}
PUBLISHED = {"ucf101": UCF101, "hmdb51": HMDB51, "kinetics": KINETICS, "something_something_v2": SOMETHING}


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode())


def list_layout(root: Path, name: Any, split_number: int | None = None) -> SourceListing:
    layout = SourceLayout(name=name, annotations=str(root / "lists"), split_number=split_number)
    return list_videos(str(root / "v"), layout=layout)


def rows(listing: SourceListing) -> list[tuple[str, str | None, str | None, str | None]]:
    return [(video.video_id, video.label, video.split, video.source) for video in listing.videos]


def test_ucf101_takes_split_and_group_from_its_lists(tmp_path: Path) -> None:
    """Class from the folder, group as source, absent files refused, unlisted ones counted; CRLF is no matter."""
    write(tmp_path, UCF101)
    listing = list_layout(tmp_path, "ucf101")
    assert rows(listing) == [
        ("Archery/v_Archery_g01_c01.avi", "Archery", "test", "Archery/g01"),
        ("Archery/v_Archery_g08_c01.avi", "Archery", "train", "Archery/g08"),
        ("HandstandPushups/v_HandStandPushups_g08_c02.avi", "HandstandPushups", "train", "HandstandPushups/g08"),
    ]
    assert listing.videos[0].path == str(tmp_path / "v/Archery/v_Archery_g01_c01.avi")
    (refusal,) = listing.refusals
    assert (refusal.path, refusal.reason) == ("Archery/v_Archery_g01_c02.avi", RefusalReason.NOT_FOUND)
    assert refusal.detail.startswith("listed in line 2 of ")
    unlisted = SkippedFile(path="HandstandPushups/v_HandStandPushups_g99_c01.avi", reason=SkipReason.UNLISTED)
    assert listing.skipped == (unlisted,)


def test_the_split_number_picks_the_lists(tmp_path: Path) -> None:
    """Split 2 is read from lists 02, split 3 of HMDB51 from files of that number."""
    write(tmp_path / "ucf101", UCF101)
    write(tmp_path / "hmdb51", HMDB51)
    assert [row[2] for row in rows(list_layout(tmp_path / "ucf101", "ucf101", 2))] == ["train", "test"]
    assert [row[2] for row in rows(list_layout(tmp_path / "hmdb51", "hmdb51", 3))] == ["test"]


def test_hmdb51_leaves_out_what_the_split_does_not_use(tmp_path: Path) -> None:
    """0 is left out and counted, 1 is train, 2 is test; the title is the source; odd names survive."""
    write(tmp_path, HMDB51)
    listing = list_layout(tmp_path, "hmdb51")
    assert rows(listing) == [
        (f"climb/{CLIMB}ba_med_0.avi", "climb", "train", "climb/(HQ)_Rock_Climbing_-_Free_Solo;#1"),
        (
            "climb/rope_climb_[Age_4]_climb_f_cm_np1_ri_med_0.avi",
            *("climb", "test", "climb/rope_climb_[Age_4]"),
        ),
        ("kick/KUNG_FU_&_kick_u_cm_np1_le_med_12.avi", "kick", "train", "kick/KUNG_FU_&"),
    ]
    assert listing.skipped == (SkippedFile(path=f"climb/{CLIMB}fr_med_4.avi", reason=SkipReason.UNUSED),)
    assert listing.skipped_files == (f"climb/{CLIMB}fr_med_4.avi",)


def test_kinetics_finds_clips_by_name_in_any_folder(tmp_path: Path) -> None:
    """Label, split and YouTube id come from the lists; a dead link is missing, no refusal; a copy stays unlisted."""
    write(tmp_path, KINETICS)
    listing = list_layout(tmp_path, "kinetics")
    assert rows(listing) == [
        ("test/AAAAAAAAAAA_000000_000010.mp4", None, "test", "AAAAAAAAAAA"),
        ("train/air_drumming/-3B32lodo2M_000059_000069.mp4", "air drumming", "train", "-3B32lodo2M"),
        ("val/_dbcJuKJQNs_000040_000050.mkv", "yoga", "val", "_dbcJuKJQNs"),
    ]
    assert listing.refusals == ()
    assert listing.missing_files == ("DEADLINK000_000004_000014.mp4",)
    assert listing.skipped_files == (
        "train/air_drumming/unlisted_000001_000002.mp4",
        "train/replacement/-3B32lodo2M_000059_000069.mp4",
    )


def test_kinetics_takes_one_list_or_none(tmp_path: Path) -> None:
    """One CSV is enough; without any, split and class are the folders' names."""
    write(tmp_path, KINETICS)
    one = SourceLayout(name="kinetics", annotations=str(tmp_path / "lists" / "validate.csv"))
    assert [row[2] for row in rows(list_videos(str(tmp_path / "v"), layout=one))] == ["val"]
    listing = list_videos(str(tmp_path / "v"), layout=SourceLayout(name="kinetics"))
    assert rows(listing)[:2] == [
        ("test/AAAAAAAAAAA_000000_000010.mp4", None, "test", "AAAAAAAAAAA"),
        ("train/air_drumming/-3B32lodo2M_000059_000069.mp4", "air_drumming", "train", "-3B32lodo2M"),
    ]
    write(tmp_path, {"v/extra/a.mp4": "x"})
    listing = list_videos(str(tmp_path / "v"), layout=SourceLayout(name="kinetics"))
    assert listing.skipped == (SkippedFile(path="extra/a.mp4", reason=SkipReason.UNLISTED),)


def test_something_something_labels_are_templates(tmp_path: Path) -> None:
    """Brackets go; test videos have no label; the older names of the lists are read too."""
    write(tmp_path, SOMETHING)
    expected = [
        ("1.webm", None, "test", None),
        ("42326.webm", "Something falling", "val", None),
        ("78687.webm", "Holding something next to something", "train", None),
    ]
    assert rows(list_layout(tmp_path, "something_something_v2")) == expected
    for path in (tmp_path / "lists").iterdir():
        path.rename(path.with_name("something-something-v2-" + path.name))
    assert rows(list_layout(tmp_path, "something_something_v2")) == expected
    (tmp_path / "lists" / "something-something-v2-test.json").unlink()
    assert list_layout(tmp_path, "something_something_v2").skipped_files == ("1.webm",)


@pytest.mark.parametrize("name", PUBLISHED)
def test_object_stores_hold_published_layouts_too(tmp_path: Path, name: str) -> None:
    """The same folders in a remote store give the same videos, splits, refusals and omissions."""
    write(tmp_path, PUBLISHED[name])
    store = fsspec.filesystem("memory")
    for path, text in PUBLISHED[name].items():
        store.pipe_file(f"/{name}/{path}", text.encode())
    layout: Any = SourceLayout(name=name, annotations=f"memory://{name}/lists")  # pyright: ignore[reportArgumentType]
    remote, local = list_videos(f"memory://{name}/v", layout=layout), list_layout(tmp_path, name)
    assert rows(remote) == rows(local)
    assert remote.skipped == local.skipped
    assert [refusal.path for refusal in remote.refusals] == [refusal.path for refusal in local.refusals]
    assert remote.videos[0].path == f"memory://{name}/v/{remote.videos[0].video_id}"


def changed(files: Mapping[str, str], **lists: str | None) -> dict[str, str]:
    """`files` with some lists replaced, or removed where None."""
    names = {key: next(name for name in files if name.split("/")[-1].startswith(key)) for key in lists}
    new = {names[key]: text for key, text in lists.items() if text is not None}
    return {name: text for name, text in files.items() if name not in names.values()} | new


@pytest.mark.parametrize(
    ("name", "files", "message"),
    [
        ("ucf101", changed(UCF101, classInd=None), r"the list .*classInd\.txt does not exist"),
        ("ucf101", changed(UCF101, testlist01=None), r"the list .*testlist01\.txt does not exist"),
        ("ucf101", changed(UCF101, classInd="1 Archery\n"), "line 2 of .*trainlist01.txt names the class 'Handstand"),
        ("ucf101", changed(UCF101, classInd="Archery\n"), "line 1 of .* is 'Archery'; accepted: an index and a class"),
        (
            "ucf101",
            changed(UCF101, classInd="1 HandstandPushups\n2 Archery\n"),
            "gives Archery the index 1; accepted: 2",
        ),
        (
            "ucf101",
            changed(UCF101, testlist01="Archery/v_Archery_g08_c01.avi\n"),
            "v_Archery_g08_c01.avi is in train .line 1 .* and in test",
        ),
        (
            "ucf101",
            changed(UCF101, testlist01="Archery/v_Archery_g08_c07.avi\n"),
            "the split divides the group Archery/g08: .*c01.avi is in train .* .*c07.avi in test",
        ),
        ("ucf101", changed(UCF101, testlist01="Archery/archer.avi\n"), "accepted: a name such as"),
        (
            "hmdb51",
            changed(HMDB51, climb_test_split1="a.avi 3\n"),
            "line 1 of .* is 'a.avi 3'; accepted: a file name and 0",
        ),
        ("hmdb51", changed(HMDB51, climb_test_split1="a.avi 1\na.avi 2\n"), "climb/a.avi is in train .* and in test"),
        ("hmdb51", {"v/a/b.avi": "x", "lists/c.txt": "x"}, r"holds no list CLASS_test_split1\.txt"),
        (
            "kinetics",
            {**KINETICS, "lists/x.csv": "label,id\n"},
            r"x\.csv has no column 'youtube_id', .*; columns found: label, id; accepted: label, ",
        ),
        (
            "kinetics",
            {**KINETICS, "lists/x.csv": KINETICS["lists/train.csv"].replace(",train,", ",test,")},
            "-3B32lodo2M_000059_000069 is in train .* and in test",
        ),
        (
            "kinetics",
            {**KINETICS, "lists/x.csv": KINETICS["lists/train.csv"].replace("yoga", "golf")},
            "has the class 'yoga' .* and 'golf'",
        ),
        (
            "kinetics",
            {**KINETICS, "lists/x.csv": "youtube_id,time_start,time_end,split\na,1.5,2,train\n"},
            "time_start '1.5'",
        ),
        (
            "kinetics",
            {**KINETICS, "lists/x.csv": "youtube_id,time_start,time_end,split\na,1,2,dev\n"},
            "split 'dev'; accepted: train",
        ),
        ("kinetics", {"v/a.mp4": "x", "lists/a.txt": ""}, "lists holds no CSV"),
        ("something_something_v2", changed(SOMETHING, labels=None), r"labels\.json does not exist"),
        ("something_something_v2", changed(SOMETHING, validation="[{]"), r"validation\.json is not valid JSON"),
        ("something_something_v2", changed(SOMETHING, train='[{"id": "../x"}]'), "entry 1 of .* has id '../x'"),
        ("something_something_v2", changed(SOMETHING, labels="{}"), "template .* accepted: a class of labels.json"),
        (
            "something_something_v2",
            changed(SOMETHING, validation=SOMETHING["lists/train.json"]),
            "is in train .* and in val",
        ),
    ],
)
def test_lists_that_contradict_are_refused(tmp_path: Path, name: str, files: Mapping[str, str], message: str) -> None:
    """Each fault in a list is one error that names the list, the line and what would be accepted."""
    write(tmp_path, files)
    with pytest.raises(ValueError, match=message):
        list_layout(tmp_path, name)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_wrong_folder_is_named(tmp_path: Path, name: str) -> None:
    """A folder that holds none of the listed videos is a mistake, not a data set of refusals."""
    write(tmp_path, PUBLISHED[name])
    layout: Any = SourceLayout(name=name, annotations=str(tmp_path / "lists"))  # pyright: ignore[reportArgumentType]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"none of the \d+ listed videos is below .*empty \(for example "):
        list_videos(str(tmp_path / "empty"), layout=layout)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layout": "ucf"}, "layout is 'ucf'; accepted: auto, folder, csv, ucf101"),
        ({"layout": "ucf101"}, "'ucf101' needs annotations; accepted: the folder ucfTrainTestlist"),
        ({"layout": "ucf101", "annotations": "x", "split_number": 4}, "split_number is 4; accepted: 1 to 3"),
        ({"layout": "hmdb51", "annotations": "x", "split_number": 0}, "split_number is 0; accepted: 1 to 3"),
        ({"layout": "kinetics", "split_number": 1}, "whose lists are not numbered; accepted with hmdb51, ucf101"),
        ({"annotations": "x"}, "annotations are x with layout 'auto', which has none"),
    ],
)
def test_settings_that_do_not_go_together_fail_at_once(settings: dict[str, Any], message: str) -> None:
    """A wrong layout, list or split number is an error of the command, before anything is listed."""
    with pytest.raises(ValueError, match=message):
        IngestConfig(source="a", output="b", **settings)


@pytest.mark.parametrize(
    ("number", "splits", "refused", "num_skipped"),
    [(1, {"train": 2, "test": 1}, {"not_found": 1}, 1), (2, {"train": 1, "test": 1}, {}, 2)],
)
def test_an_ingest_of_ucf101_carries_its_split(
    tmp_path: Path, number: int, splits: dict, refused: dict, num_skipped: int
) -> None:
    """Splits, classes and groups arrive in the data set; what is absent is among its refusals."""
    write(tmp_path, UCF101)
    for seed, path in enumerate(sorted((tmp_path / "v").rglob("*.avi"))):
        path.write_bytes(encode_video(moving_pictures(6, 32, 32, seed=seed), codec="mpeg4", container="avi"))
    config = IngestConfig(
        source=str(tmp_path / "v"),
        output=str(tmp_path / "out"),
        layout="ucf101",
        annotations=str(tmp_path / "lists"),
        split_number=number,
        max_refused_fraction=0.5,
        num_processes=1,
        short_side=32,
    )
    result = ingest(config)
    assert open_dataset(result.output).description.splits == splits
    assert (result.refused_by_reason, result.num_skipped_files) == (refused, num_skipped)
