"""What a run must offer a task, and what configs refuse: with the value, what would be accepted, and why."""

import subprocess
import sys
from dataclasses import replace

import pytest

from rspnet_core.pretext.task import Requirements
from tests.core.tiny_tasks import ALL, CONFIGS, build

QUEUE_TASKS = {"rspnet": 24, "appearance_instance": 24, "moco": 12, "moco, three clips": 8}
"""How many videos a queue of 24 keys holds."""


def requirements(name: str, **changes) -> Requirements:
    return build(replace(ALL[name], **changes)).requirements()


@pytest.mark.parametrize("name", ALL)
def test_a_run_that_is_large_enough_is_accepted(name: str):
    """A batch of 8 of 25 videos."""
    requirements(name).check(num_videos=25, global_batch_size=8)


@pytest.mark.parametrize(("name", "num_videos"), QUEUE_TASKS.items())
def test_the_keys_of_a_batch_fit_into_the_queue(name: str, num_videos: int):
    """Of all clips that are enqueued of each video."""
    requirements(name).check(num_videos=100, global_batch_size=num_videos)
    with pytest.raises(
        ValueError, match=f"global_batch_size is {num_videos + 1}; accepted are up to {num_videos}: .*queue"
    ):
        requirements(name).check(num_videos=100, global_batch_size=num_videos + 1)


@pytest.mark.parametrize(("name", "num_videos"), QUEUE_TASKS.items())
def test_an_unmasked_queue_is_smaller_than_the_data_set(name: str, num_videos: int):
    """Masked, two videos are enough."""
    requirements(name).check(num_videos=2, global_batch_size=2)
    unmasked = requirements(name, mask_same_video=False)
    unmasked.check(num_videos=num_videos + 1, global_batch_size=2)
    with pytest.raises(ValueError, match=f"{num_videos} videos; accepted are {num_videos + 1} or more: without mask_"):
        unmasked.check(num_videos=num_videos, global_batch_size=2)


@pytest.mark.parametrize("name", [*QUEUE_TASKS, "cvrl", "simclr", "pace, contrast"])
def test_a_single_video_is_refused_where_videos_are_told_apart(name: str):
    """There is nothing to tell it from."""
    with pytest.raises(ValueError, match="1 videos; accepted are 2 or more: a video is told from other videos"):
        requirements(name).check(num_videos=1, global_batch_size=2)


@pytest.mark.parametrize("name", ["cvrl", "simclr"])
def test_a_batch_with_fewer_negatives_than_configured_is_refused(name: str):
    """The published configs ask for 256 or more."""
    assert type(CONFIGS[name])().min_global_batch_size == 256  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
    asked = requirements(name, min_global_batch_size=16)
    asked.check(num_videos=100, global_batch_size=16)
    with pytest.raises(ValueError, match=r"global_batch_size is 15; accepted are 16 or more: .*min_global_batch_size"):
        asked.check(num_videos=100, global_batch_size=15)


@pytest.mark.parametrize("name", ["cvrl", "simclr", "simclr, three clips", "pace, contrast"])
def test_batches_that_are_compared_with_themselves_come_whole(name: str):
    """Micro-batches would have fewer negatives; a batch of one video has none."""
    with pytest.raises(ValueError, match=r"batch would come in 2 parts .*; accepted is one: the loss compares"):
        requirements(name).check(num_videos=100, global_batch_size=8, num_micro_batches=2)
    with pytest.raises(ValueError, match="global_batch_size is 1; accepted are 2 or more: the negatives are the other"):
        requirements(name).check(num_videos=100, global_batch_size=1)


@pytest.mark.parametrize("name", sorted(set(ALL) - {"cvrl", "simclr", "simclr, three clips", "pace, contrast"}))
def test_other_batches_may_come_in_parts(name: str):
    """Each video's loss is its own, or against a queue that stands still during a step."""
    requirements(name).check(num_videos=100, global_batch_size=8, num_micro_batches=4)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("appearance_instance", {"temperature": 0.0}),
        ("appearance_instance", {"queue_size": 0}),
        ("appearance_instance", {"key_momentum": 1.1}),
        ("moco", {"embedding_dim": 0}),
        ("moco", {"key_momentum": -0.1}),
        ("cvrl", {"temperature": -1.0}),
        ("simclr", {"min_global_batch_size": 1}),
        ("pace", {"temperature": 0.0}),
        ("frame_order", {"max_shift_pixels": -1}),
        ("speednet", {"encoder": "none"}),
    ],
)
def test_wrong_numbers_are_refused_by_name(name: str, wrong: dict):
    """The error names the field."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(CONFIGS[name], **wrong)


@pytest.mark.parametrize("name", ["moco", "simclr"])
def test_one_clip_has_no_other_to_find(name: str):
    """rho is 2 or more."""
    with pytest.raises(ValueError, match=r"clips.num_clips is 1; accepted are 2 or more"):
        replace(CONFIGS[name], clips=replace(CONFIGS[name].clips, num_clips=1))  # pyright: ignore[reportArgumentType]


def test_views_of_two_sizes_are_refused():
    """Both clips go through the encoder in one batch."""
    config = CONFIGS["cvrl"]
    with pytest.raises(ValueError, match=r"second_view.crop_size is 224 and view.crop_size 112; accepted: the same"):
        replace(config, view=replace(config.view, crop_size=112))


WORDS = """
from rspnet_core.pretext.{module}_config import {name}Config
try:
    {name}Config({field}="nonsense")
except ValueError as error:
    assert "{field} is 'nonsense'; accepted are {first}" in str(error), error
else:
    raise SystemExit("{name}Config accepts nonsense as {field}")
"""


def test_wrong_words_are_refused_with_those_that_are_accepted():
    """In an interpreter without the tests' type checks, which would be faster than the configs."""
    cases = [
        ("relative_speed", "RelativeSpeed", "key_network", "momentum, trained"),
        ("relative_speed", "RelativeSpeed", "head", "linear, mlp"),
        ("relative_speed", "RelativeSpeed", "normalisation", "imagenet"),
        ("appearance_instance", "AppearanceInstance", "instance_positives", "both, other_speed"),
        ("appearance_instance", "AppearanceInstance", "enqueued_keys", "other_speed, same_speed"),
        ("appearance_instance", "AppearanceInstance", "head", "linear, mlp"),
        ("moco", "MoCo", "head", "linear, mlp"),
        ("cvrl", "CVRL", "head", "linear, mlp"),
        ("video_cloze", "VideoCloze", "classifier_kind", "concatenated, pairwise"),
    ]
    names = ("module", "name", "field", "first")
    code = "".join(WORDS.format(**dict(zip(names, case, strict=True))) for case in cases)
    done = subprocess.run([sys.executable, "-c", code], timeout=60, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
