"""Which videos checkpoints are validated on."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.validation.validation_options import ValidationOptions
from rspnet_platform.validation.validation_videos import choose_validation_videos, is_labelled


def dataset_of(rows: list[dict]) -> ShardedDataset:
    """As opened; nothing but its table is looked at."""
    filled = [
        {"video_index": index, "video_id": f"{index}.mp4", "source": None, "split": "train", "shard": "shard_0"}
        | {"row_group": index // 4, "row": index % 4, "label": None}
        | row
        for index, row in enumerate(rows)
    ]
    types = {"label": pa.string(), "source": pa.string(), "split": pa.string()}
    columns = {name: pa.array([row[name] for row in filled], types.get(name)) for name in filled[0]}
    return ShardedDataset(uri="/data", description=None, videos=pa.table(columns))  # pyright: ignore[reportArgumentType]


def every(dataset: ShardedDataset) -> np.ndarray:
    return dataset.videos["video_index"].to_numpy()


def test_equally_many_of_each_class_and_none_of_the_test_split():
    """Whatever is trained on: nothing may be chosen by what is tested."""
    rows = [{"label": f"class {index % 3}", "split": ("train", "test")[index % 2]} for index in range(120)]
    dataset = dataset_of(rows)
    videos = choose_validation_videos(dataset, every(dataset), 30)
    assert Counter(video.label for video in videos) == {"class 0": 10, "class 1": 10, "class 2": 10}
    assert {video.video_index % 2 for video in videos} == {0}
    assert [video.location for video in videos] == sorted(video.location for video in videos)


def test_only_videos_that_are_trained_on():
    """Those that are put aside for something else stay there."""
    dataset = dataset_of([{"label": f"class {index % 2}"} for index in range(40)])
    trained_on = np.arange(10, 20)
    videos = choose_validation_videos(dataset, trained_on, 256)
    assert sorted(video.video_index for video in videos) == trained_on.tolist()


def test_the_same_videos_each_time_whatever_order_the_indices_come_in():
    """At every validation, at every resume and in every run on the data set."""
    dataset = dataset_of([{"label": f"class {index % 20}"} for index in range(400)])
    first = choose_validation_videos(dataset, every(dataset), 64)
    assert choose_validation_videos(dataset, every(dataset)[::-1], 64) == first
    assert first != choose_validation_videos(dataset, every(dataset), 72)


def test_many_classes_make_way_for_several_videos_of_each():
    """100 classes, room for 40 videos: 5 classes of 8, rather than one video of each that nobody could find."""
    dataset = dataset_of([{"label": f"class {index % 100:02d}"} for index in range(2000)])
    videos = choose_validation_videos(dataset, every(dataset), 40)
    assert sorted(Counter(video.label for video in videos).values()) == [8] * 5


def test_a_class_of_one_source_cannot_be_found():
    """Its videos are left to nobody; two other classes remain."""
    sources = {"one": ["a"] * 10, "two": ["b", "c"] * 5, "free": [None] * 10}
    rows = [{"label": label, "source": source} for label, all_of in sources.items() for source in all_of]
    videos = choose_validation_videos(dataset_of(rows), np.arange(30), 256)
    assert Counter(video.label for video in videos) == {"two": 10, "free": 10}


@pytest.mark.parametrize(
    "rows",
    [
        [{}] * 20,
        [{"label": "alone"}] * 20,
        [{"label": f"class {index}", "split": "test"} for index in range(20)],
    ],
    ids=["no labels", "one class", "test split alone"],
)
def test_without_labels_to_find_there_are_videos_all_the_same(rows):
    """For the indicators of collapse; they carry no label, so that nothing is scored by one."""
    videos = choose_validation_videos(dataset_of(rows), np.arange(20), 8)
    assert len(videos) == 8
    assert not is_labelled(videos)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"protocol": "kNN"}, "accepted are knn, retrieval, none"),
        ({"registers": "first"}, "accepted are last, best"),
        ({"max_num_videos": 1}, "max_num_videos is 1; accepted are whole numbers from 2 on"),
        ({"num_clips": 0}, "num_clips is 0"),
        ({"num_cpus": 0.0}, "num_cpus is 0.0"),
        ({"protocol": "none", "registers": "best"}, "accepted there are knn and retrieval"),
    ],
)
def test_options_that_cannot_be_kept_to_are_refused(values, message):
    """When they are read, with what would be accepted."""
    with pytest.raises(ValueError, match=message):
        ValidationOptions(**values)


def test_the_objective_is_no_name_of_the_evaluation_on_the_test_split():
    """That one decides on the champion."""
    names = {ValidationOptions(protocol=protocol).objective for protocol in ("knn", "retrieval")}
    assert names == {"validation/train_knn_top1", "validation/train_retrieval_top1"}
    assert ValidationOptions(protocol="none").objective is None
