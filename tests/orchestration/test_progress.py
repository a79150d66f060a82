"""What a person who waits is told: which step, and when it will be over."""

import io
import re
import time

import pytest
from rspnet_platform.command_line import say_step
from rspnet_platform.train.progress import _show, arrival
from rspnet_platform.waiting_bar import counting
from tqdm import tqdm

NOON = time.mktime((2026, 6, 1, 12, 0, 0, 0, 0, -1))


@pytest.mark.parametrize(
    ("first", "latest", "num_steps", "expected"),
    [
        ((10, NOON), (20, NOON + 60), 40, "12:03"),  # 10 steps a minute, 20 left
        ((10, NOON), (10, NOON + 60), 40, ""),  # no pace yet
        ((10, NOON), (40, NOON + 60), 40, ""),  # it is over
        ((0, NOON), (1, NOON + 3600), 49, "03 Jun 13:00"),  # 48 hours from one o'clock
    ],
)
def test_the_time_of_arrival(first, latest, num_steps, expected):
    """At the pace since the first step that was seen: a resumed run's earlier steps took no time."""
    assert arrival(first, latest, num_steps) == expected


def test_the_bar_says_epoch_step_and_damage():
    """Epochs count from one, and the last step is in the last epoch."""
    bar = tqdm(total=6, file=io.StringIO())
    metrics = {"train/loss": 1.5, "throughput/clips_per_second": 20.4, "train/epoch": 1.2, "data/num_damaged_videos": 2}
    _show(bar, {"step": 4, "metrics": metrics}, 2, "12:03")
    assert bar.n == 4
    assert bar.postfix == "epoch 2/2, loss 1.500, 20 clips/s, data wait 0%, 2 damaged videos, done at 12:03"
    _show(bar, {"step": 6, "saved_step": 4, "metrics": metrics | {"train/epoch": 2.0}}, 2)
    assert bar.n == 6
    assert bar.postfix.endswith(", saved step 4")
    assert bar.postfix.startswith("epoch 2/2, ")
    bar.close()


def test_each_step_is_said_with_the_seconds(capsys):
    """On standard error: the result is alone on standard output."""
    say_step("opening the data set")
    said = capsys.readouterr()
    assert re.fullmatch(r" *\d+\.\d s  opening the data set\n", said.err)
    assert said.out == ""


def test_batches_are_counted_by_their_videos(capsys):
    """None is lost, and the bar ends at their number."""
    batches = [{"video_index": [0, 1]}, {"video_index": [2]}]
    assert list(counting(iter(batches), "embedding", num_videos=3)) == batches
    assert "3/3" in capsys.readouterr().err
