"""Which training worker has not reported is said once, with its place and its last step."""

from typing import Any

import pytest
from rspnet_platform.train.silence import MAX_SILENT_SECONDS, SilenceWatch, max_silent_seconds


def beats(*numbers_and_steps: tuple[int, int]) -> dict[int, dict[str, Any]]:
    """Of ranks 0, 1, ...: how often each has reported, and its step."""
    return {
        rank: {"node": f"node-{rank}", "pid": 100 + rank, "beat": number, "step": step}
        for rank, (number, step) in enumerate(numbers_and_steps)
    }


def test_a_silent_rank_is_named_once_and_its_return_too() -> None:
    """With node, process, seconds and last step; the others' silence of steps follows from it and is not said."""
    watch = SilenceWatch(max_seconds=90.0)
    assert watch.look(beats((1, 7), (1, 7)), 0.0) == []
    assert watch.look(beats((2, 7), (1, 7)), 89.0) == []
    (line,) = watch.look(beats((3, 7), (1, 7)), 91.0)
    assert line.startswith("rank 1 (node node-1, process 101) has not reported for 91 s: its last step was 7.")
    assert watch.look(beats((4, 7), (1, 7)), 200.0) == []
    assert watch.look(beats((5, 8), (2, 8)), 210.0) == ["rank 1 reports again, after 210 s"]


def test_workers_that_are_alive_and_take_no_step_are_said_too() -> None:
    """What they wait for, data or each other, is not theirs to say."""
    watch = SilenceWatch(max_seconds=90.0)
    assert watch.look(beats((1, 7), (1, 7)), 0.0) == []
    said = watch.look(beats((9, 7), (9, 7)), 95.0)
    assert said == ["no training worker has taken a step for 95 s, since step 7; all are alive"]
    assert watch.look(beats((10, 7), (10, 7)), 99.0) == []
    assert watch.look(beats((11, 8), (11, 8)), 100.0) == []
    assert len(watch.look(beats((20, 8), (20, 8)), 200.0)) == 1


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan"])
def test_a_limit_that_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name and value."""
    monkeypatch.setenv(MAX_SILENT_SECONDS, text)
    with pytest.raises(ValueError, match=f"RSPNET_MAX_SILENT_SECONDS is '{text}'; accepted are seconds above 0"):
        max_silent_seconds()
