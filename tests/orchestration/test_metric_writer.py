"""Metrics without a server: what is kept, where, and that it is stored once. See test_tracking_server too."""

import math
import socket
from pathlib import Path

import pytest
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.metric_outbox import MetricOutbox, MetricPoint, send_outbox
from rspnet_platform.tracking.metric_writer import MetricWriter

from tests.waiting import history, wait_until

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_close_does_not_wait_for_a_frozen_server(tmp_path: Path) -> None:
    """A server that takes connections and never answers costs the timeout at most, and loses nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        writer = MetricWriter(uri, "run", tmp_path / "outbox.jsonl", flush_seconds=0.05)
        writer.log(0, {"loss": 1.0})
        wait_until(lambda: writer._in_flight, "nothing is being sent")
        writer.log(1, {"loss": 2.0})
        assert writer.close(timeout_seconds=0.2) == 2
        assert [point.step for point in MetricOutbox(tmp_path / "outbox.jsonl").read()] == [0, 1]
        writer._thread.join()
        assert [point.step for point in MetricOutbox(tmp_path / "outbox.jsonl").read()] == [0, 1]
        assert writer.num_unsent == 2


def test_without_an_outbox_metrics_wait_in_memory() -> None:
    """A writer without a file counts what it could not send."""
    writer = MetricWriter(f"http://127.0.0.1:{free_port()}", "run", None, flush_seconds=0.05)
    writer.log(0, {"loss": 1.0})
    writer.log(1, {"loss": 2.0})
    assert writer.close() == 2


def test_bad_names_and_late_metrics_are_refused(tmp_path: Path) -> None:
    """A name that MLflow would refuse fails where it is logged, and so does a metric after close()."""
    writer = MetricWriter(f"http://127.0.0.1:{free_port()}", "run", tmp_path / "outbox.jsonl")
    with pytest.raises(ValueError, match="metric 'loss%', step 3"):
        writer.log(3, {"loss%": 1.0})
    assert writer.close() == 0
    with pytest.raises(ValueError, match="step 4 come after close"):
        writer.log(4, {"loss": 1.0})


def test_outbox_survives_a_torn_line(tmp_path: Path) -> None:
    """A line that a crash cut short is forgotten, and what is appended later does not stick to it."""
    outbox = MetricOutbox(tmp_path / "folder" / "outbox.jsonl")
    first, second = (MetricPoint("run", "loss", value, 123, 0) for value in (math.inf, 2.0))
    outbox.append([first])
    with (tmp_path / "folder" / "outbox.jsonl").open("a") as file:
        file.write('{"run_id": "ru')
    assert outbox.read() == [first]
    outbox.append([second])
    assert outbox.read() == [first, second]
    outbox.remove([first])
    assert outbox.read() == [second]


def test_damaged_outbox_names_its_line(tmp_path: Path) -> None:
    """A complete line that is no metric is an error with the file and the line's number."""
    (tmp_path / "outbox.jsonl").write_text("[]\n")
    with pytest.raises(ValueError, match=r"outbox\.jsonl line 1 is not a metric"):
        send_outbox("sqlite:///unused.db", tmp_path / "outbox.jsonl")


def test_sending_twice_stores_once(tmp_path: Path) -> None:
    """A batch that is sent again after a crash adds nothing: equal points are one row in the store."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    run_id = runs.start_run(uri, "videos", "twice", {}, {})
    outbox = MetricOutbox(tmp_path / "outbox.jsonl")
    for _ in range(2):
        outbox.append([MetricPoint(run_id, "loss", 0.5, 123, 0), MetricPoint(run_id, "loss", math.nan, 124, 1)])
        assert send_outbox(uri, tmp_path / "outbox.jsonl") == 2
    assert len(history(uri, run_id, "loss")) == 2
