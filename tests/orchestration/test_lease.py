"""One job at a time in a folder: who is refused, who may take over, and what the one that was away does."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from rspnet_platform.lease import (
    Lease,
    LeaseHeldError,
    LeaseLostError,
    LeaseTimes,
    has_lost_a_lease,
    lease_numbers,
    lease_uri,
    leased,
    newest_lease,
)
from rspnet_platform.lease_owner import Owner
from rspnet_platform.run import closing_on_failure
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.client import tracking_client

from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
QUICK = LeaseTimes(seconds_between_beats=0.2, stale_seconds=1.0)
PATIENT = LeaseTimes(seconds_between_beats=0.2, stale_seconds=60.0)
"""Where an owner is alive: a busy machine must not make it look dead."""
JOB = f"""
import sys, time
sys.path.insert(0, {str(ROOT / "platform")!r})
from rspnet_platform.command_line import run_job
from rspnet_platform.lease import LeaseTimes, leased
def work(arguments):
    folder, beats, stale, waits = arguments
    times = LeaseTimes(seconds_between_beats=float(beats), stale_seconds=float(stale))
    with leased(folder, waits=waits == "True", times=times):
        print("working", flush=True)
        time.sleep(120)
    return {{}}
run_job(list, work)
"""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "run")


@pytest.fixture
def start() -> Iterator:
    """Starts a job in a process of its own; all are killed at the end."""
    jobs: list[subprocess.Popen] = []

    def started(folder: str, times: LeaseTimes = QUICK, *, waits: bool = False) -> subprocess.Popen:
        arguments = [folder, str(times.seconds_between_beats), str(times.stale_seconds), str(waits)]
        jobs.append(subprocess.Popen([sys.executable, "-c", JOB, *arguments], stderr=subprocess.PIPE, text=True))
        return jobs[-1]

    yield started
    for job in jobs:
        job.kill()
        job.communicate()


def said_until_it_works(job: subprocess.Popen) -> str:
    assert job.stderr is not None
    lines = []
    for line in iter(job.stderr.readline, ""):
        if line == "working\n":
            return "".join(lines)
        lines.append(line)
    raise AssertionError(f"the job ended before it worked: {lines}")


def held_by_another_machine(folder: str) -> Owner:
    """A lease that nobody renews, of a process whose number is nobody's here."""
    owner = replace(Owner.this_process(), host="node-7", machine="another", pid=2**22 + 1)
    Path(folder).mkdir()
    Path(lease_uri(folder, 3)).write_bytes(owner.written(0))
    return owner


def test_a_second_job_is_refused_while_the_first_one_works(folder: str, start) -> None:
    """With who has the folder and since when; stopped in order, the first one leaves nothing and the second goes on."""
    first = start(folder, PATIENT)
    said_until_it_works(first)
    second = start(folder, PATIENT)
    _, said = second.communicate(timeout=60)
    assert second.returncode == 1
    assert f"error: {folder} is being written by another job: process {first.pid} of" in said
    assert " UTC. Accepted is to wait for its end, or to stop it" in said
    assert first.poll() is None
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 143
    assert lease_numbers(folder) == []
    assert "\n  " not in said_until_it_works(start(folder, PATIENT))


def test_after_a_sigkill_the_same_command_goes_on_at_once(folder: str, start) -> None:
    """On the same machine: with an hour to wait it would not come to work."""
    slow = LeaseTimes(seconds_between_beats=600.0, stale_seconds=3600.0)
    first = start(folder, slow)
    said_until_it_works(first)
    first.kill()  # nobody has waited for it: a zombie is dead too
    assert f"after process {first.pid} of" in said_until_it_works(start(folder, slow))
    assert lease_numbers(folder) == [2]


def test_a_suspended_job_finds_its_folder_taken(folder: str, start) -> None:
    """The other one goes on in its place; it ends with one error, and leaves the other's lease alone."""
    first = start(folder)
    said_until_it_works(first)
    first.send_signal(signal.SIGSTOP)
    second = start(folder)
    assert "no sign of life for 1 s; going on in its place" in said_until_it_works(second)
    first.send_signal(signal.SIGCONT)
    _, said = first.communicate(timeout=60)
    assert first.returncode == 1
    assert said.startswith(f"error: {folder} was taken over by process {second.pid} of")
    assert said.count("\n") == 1
    assert lease_numbers(folder) == [2]
    assert second.poll() is None


def test_another_machines_lease_is_watched_before_it_is_taken(folder: str, capsys) -> None:
    """Nobody here can know whether its process is alive; no clock is asked."""
    owner = held_by_another_machine(folder)
    assert not owner.is_dead
    with leased(folder, times=QUICK):
        newest = newest_lease(folder)
        assert newest is not None
        assert newest.number == 4
    said = capsys.readouterr().err
    assert f"{folder} belongs to process {owner.pid} of {owner.user} on node-7" in said
    assert "no sign of life for 1 s" in said


def test_a_lease_that_is_not_whole_is_taken_once_it_stays_so(folder: str) -> None:
    """Its driver was killed between making and writing it."""
    Path(folder).mkdir()
    Path(lease_uri(folder, 1)).touch()
    Path(folder, ".lease-of-somebody.json").touch()
    with leased(folder, times=QUICK):
        assert lease_numbers(folder) == [2]


def test_a_process_of_the_same_number_is_another() -> None:
    """Numbers are given again: the start tells them apart."""
    owner = Owner.this_process()
    assert not owner.is_dead
    assert replace(owner, started_seconds=owner.started_seconds - 5).is_dead
    assert replace(owner, pid=2**22 + 1).is_dead
    assert Owner.read(owner.written(3)) == owner


def test_of_many_that_take_over_at_once_one_alone_gets_it(folder: str) -> None:
    """All have seen the same dead owner."""
    dead = replace(Owner.this_process(), pid=2**22 + 1)
    Path(folder).mkdir()
    Path(lease_uri(folder, 1)).write_bytes(dead.written(0))
    leases = [Lease(folder, PATIENT) for _ in range(8)]

    def acquire(lease: Lease) -> bool:
        try:
            lease.acquire(waits=False)
        except LeaseHeldError:
            return False
        return True

    with ThreadPoolExecutor(len(leases)) as pool:
        acquired = list(pool.map(acquire, leases))
    assert sum(acquired) == 1
    leases[acquired.index(True)].release()
    assert lease_numbers(folder) == []


def test_who_waits_goes_on_once_the_other_has_ended(folder: str, start) -> None:
    """As two first jobs do that both want the embedded data set."""
    first = Lease(folder, PATIENT)
    first.acquire(waits=False)
    second = start(folder, PATIENT, waits=True)
    assert second.stderr is not None
    assert any("it is; waiting for its end" in line for line in iter(second.stderr.readline, ""))
    first.release()
    said_until_it_works(second)


def test_who_has_lost_its_folder_says_nothing_more_of_its_run(
    folder: str, tmp_path: Path, empty_database: Path
) -> None:
    """Its run in MLflow is the other's by then, and goes on."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    tracking_uri = f"sqlite:///{tmp_path}/mlflow.db"
    run_id = runs.start_run(tracking_uri, "videos", "first", {}, {})
    with pytest.raises(LeaseLostError, match=r"was taken over by process \d+ of .* on node-7"):
        lose_in_a_block(folder, tracking_uri, run_id)
    assert not has_lost_a_lease()
    run = tracking_client(tracking_uri).get_run(run_id)
    assert run.info.status == "RUNNING"
    assert "failure" not in run.data.tags


def lose_in_a_block(folder: str, tracking_uri: str, run_id: str) -> None:
    other = replace(Owner.this_process(), host="node-7")
    with leased(folder, times=QUICK):
        Path(lease_uri(folder, 2)).write_bytes(other.written(0))
        wait_until(has_lost_a_lease, "the lease is lost")
        with pytest.raises(KeyboardInterrupt), closing_on_failure(tracking_uri, run_id):
            raise KeyboardInterrupt


def test_a_lease_whose_content_is_another_ones_is_lost(folder: str) -> None:
    """A store without conditional writes lets two make the same number: one of them finds the other's."""
    lease = Lease(folder, QUICK)
    lease.acquire(waits=False)
    other = Owner.this_process()

    def has_seen_the_others() -> str | None:  # a beat may just have been on its way to the disk
        Path(lease_uri(folder, 1)).write_bytes(other.written(0))
        return lease.loss

    wait_until(has_seen_the_others, "the lease is lost")
    lease.release()
    assert json.loads(Path(lease_uri(folder, 1)).read_bytes())["owner"]["token"] == other.token
