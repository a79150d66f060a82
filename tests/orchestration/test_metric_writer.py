"""Metrics without a server: what is kept, where, and that it is stored once. See test_tracking_server too."""

import json
import math
import shutil
import socket
from pathlib import Path

import pytest
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.earlier_outbox import adopt_earlier
from rspnet_platform.tracking.metric_outbox import MetricOutbox, MetricPoint
from rspnet_platform.tracking.metric_sender import MetricSender, send_waiting
from rspnet_platform.tracking.metric_writer import MetricWriter

from tests.waiting import history

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_close_does_not_wait_for_a_frozen_server(tmp_path: Path) -> None:
    """A server that takes connections and never answers costs the timeout at most, and loses nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        writer = MetricWriter(uri, "run", str(tmp_path / "outbox"), flush_seconds=0.05)
        writer.log(0, {"loss": 1.0})
        silent.accept()
        writer.log(1, {"loss": 2.0})
        assert writer.close(timeout_seconds=0.2) == 2
        assert [point.step for point in waiting(tmp_path / "outbox")] == [0, 1]
        writer._thread.join()
        assert [point.step for point in waiting(tmp_path / "outbox")] == [0, 1]
        assert writer.num_unsent == 2


def test_without_an_outbox_metrics_wait_in_memory() -> None:
    """A writer without a file counts what it could not send."""
    writer = MetricWriter(f"http://127.0.0.1:{free_port()}", "run", None, flush_seconds=0.05)
    writer.log(0, {"loss": 1.0})
    writer.log(1, {"loss": 2.0})
    assert writer.close() == 2


def test_bad_names_and_late_metrics_are_refused(tmp_path: Path) -> None:
    """A name that MLflow would refuse fails where it is logged, and so does a metric after close()."""
    writer = MetricWriter(f"http://127.0.0.1:{free_port()}", "run", str(tmp_path / "outbox"))
    with pytest.raises(ValueError, match="metric 'loss%', step 3"):
        writer.log(3, {"loss%": 1.0})
    assert writer.close() == 0
    with pytest.raises(ValueError, match="step 4 come after close"):
        writer.log(4, {"loss": 1.0})


def test_a_checkpoint_finds_its_metrics_in_the_runs_storage(tmp_path: Path) -> None:
    """`persist` returns once all that was logged is there, in a process that may be killed then, and puts it there
    once."""
    writer = MetricWriter(f"http://127.0.0.1:{free_port()}", "run", str(tmp_path / "outbox"), flush_seconds=60)
    for step in (1, 2):
        writer.log(step, {"loss": 0.5})
    writer.persist()
    assert [point.step for point in waiting(tmp_path / "outbox")] == [1, 2]
    writer.persist()
    writer.log(3, {"loss": 0.5})
    assert writer.close() == 3
    assert [point.step for point in waiting(tmp_path / "outbox")] == [1, 2, 3]
    assert len(MetricOutbox(str(tmp_path / "outbox")).names()) == 2


def test_a_later_writer_sends_what_a_dead_one_left(tmp_path: Path, empty_database: Path) -> None:
    """Before its own, each step once: those that are taken again after the last checkpoint have their first value, in
    the store or in the outbox, and the steps after them follow."""
    uri, run_id = tracked(tmp_path, empty_database)
    outbox = str(tmp_path / "outbox")
    MetricSender(uri).send([point(run_id, step, timestamp=step) for step in range(1, 8)])
    MetricOutbox(outbox).append([point(run_id, step, timestamp=step) for step in range(6, 11)])
    (tmp_path / "outbox" / ".killed.partial").write_text("half")
    resumed = MetricWriter(uri, run_id, outbox, flush_seconds=0.05)
    for step in range(5, 13):
        resumed.log(step, {"loss": 100.0 + step, "new": 1.0})
    assert resumed.close() == 0
    assert history(uri, run_id, "loss") == [(step, step if step < 11 else 100.0 + step) for step in range(1, 13)]
    assert history(uri, run_id, "new") == [(step, 1.0) for step in range(5, 13)]
    assert not list((tmp_path / "outbox").iterdir())


def test_a_hole_is_filled_and_nothing_is_doubled(tmp_path: Path, empty_database: Path) -> None:
    """In whichever order and batches the points of a metric come."""
    uri, run_id = tracked(tmp_path, empty_database)
    sender = MetricSender(uri)
    for steps in ([5, 6], [2, 6, 9], [9, 9, 1], [7, 3, 5]):
        sender.send([point(run_id, step, timestamp=step) for step in steps])
        MetricSender(uri).send([point(run_id, step, timestamp=1000 + step) for step in steps])
    sender.send([point(run_id, step, timestamp=step) for step in range(12)])
    assert history(uri, run_id, "loss") == [(step, step) for step in range(12)]


def test_what_an_earlier_version_left_is_sent(tmp_path: Path, empty_database: Path, monkeypatch) -> None:
    """From the file in a local run's folder, a line that a crash cut short left out; and from the home of a machine,
    where the runs of one name in two buckets had one file: each takes its own."""
    uri, run_id = tracked(tmp_path, empty_database)
    lines = [json.dumps(point(run_id, step, timestamp=step)._asdict()) + "\n" for step in (1, 2)]
    (tmp_path / "outbox.jsonl").write_text("".join(lines) + lines[0][:20])
    assert send_waiting(uri, run_id, str(tmp_path / "outbox")) == 0
    assert history(uri, run_id, "loss") == [(1, 1.0), (2, 2.0)]
    assert not (tmp_path / "outbox.jsonl").exists()
    monkeypatch.setenv("HOME", str(tmp_path))
    earlier = tmp_path / ".cache" / "rspnet" / "first" / "unsent_metrics.jsonl"
    earlier.parent.mkdir(parents=True)
    others = json.dumps(point("of another bucket", 3, timestamp=3)._asdict()) + "\n"
    earlier.write_text(lines[0] + others)
    outbox = MetricOutbox("memory://bucket/runs/first/unsent_metrics")
    adopt_earlier(outbox, run_id)
    assert [each.step for name in outbox.names() for each in outbox.read(name)] == [1]
    assert earlier.read_text() == others


def test_an_outbox_in_an_object_store() -> None:
    """What a worker could not send is where the driver looks, on another machine or not, and each run's own."""
    nobody = f"http://127.0.0.1:{free_port()}"
    uris = [f"memory://{bucket}/runs/first/unsent_metrics" for bucket in ("one", "two")]
    for number, uri in enumerate(uris, start=1):
        writer = MetricWriter(nobody, f"run {number}", uri, flush_seconds=60)
        writer.log(1, {f"loss {each}": 0.5 for each in range(number)})
        writer.persist()
        writer.close()
    assert [send_waiting(nobody, f"run {number}", uri) for number, uri in enumerate(uris, start=1)] == [1, 2]


def test_a_damaged_batch_names_its_line(tmp_path: Path) -> None:
    """A complete line that is no metric is an error with the file and the line's number."""
    (tmp_path / "outbox").mkdir()
    (tmp_path / "outbox" / "0000000001_1_ab.jsonl").write_text("[]\n")
    outbox = MetricOutbox(str(tmp_path / "outbox"))
    with pytest.raises(ValueError, match=r"_ab\.jsonl line 1 is not a metric"):
        outbox.read(outbox.names()[0])


def test_numbers_that_are_none_travel(tmp_path: Path, empty_database: Path) -> None:
    """NaN and infinity come back from the outbox as they were, and arrive."""
    uri, run_id = tracked(tmp_path, empty_database)
    outbox = MetricOutbox(str(tmp_path / "outbox"))
    for _ in range(2):
        outbox.append([MetricPoint(run_id, "loss", math.inf, 123, 0), MetricPoint(run_id, "loss", math.nan, 124, 1)])
    assert len(outbox) == 4
    assert send_waiting(uri, run_id, outbox.uri) == 0
    (first, second) = history(uri, run_id, "loss")
    assert first[1] > 1e308
    assert math.isnan(second[1])


def tracked(folder: Path, empty_database: Path) -> tuple[str, str]:
    """A tracking store, and a run in it."""
    shutil.copy(empty_database, folder / "mlflow.db")
    uri = f"sqlite:///{folder}/mlflow.db"
    return uri, runs.start_run(uri, "videos", "run", {}, {})


def point(run_id: str, step: int, *, timestamp: int) -> MetricPoint:
    return MetricPoint(run_id, "loss", float(step), timestamp, step)


def waiting(outbox: Path) -> list[MetricPoint]:
    box = MetricOutbox(str(outbox))
    return [each for name in box.names() for each in box.read(name)]
