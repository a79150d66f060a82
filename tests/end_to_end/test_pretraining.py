"""The job as its user runs it: whole, killed and resumed, with a dying worker; the encoder pulled after."""

import json
import math
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.end_to_end.pretrain_job import (
    FIRST_CHECKPOINT,
    NUM_STEPS,
    ROOT,
    WITHOUT_REPORT,
    PretrainJob,
    kill_group,
    wait_until,
)
from tests.processes import descendants

GOLDEN = ROOT / "tests" / "golden" / "tiny_losses.txt"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(small_dataset, tmp_path_factory) -> tuple[PretrainJob, dict]:
    """A run from beginning to end, with its result."""
    job = PretrainJob(folder=tmp_path_factory.mktemp("undisturbed"), dataset=small_dataset.uri, switches=())
    return job, job.result()


def final_weights(job: PretrainJob) -> dict[str, np.ndarray]:
    """The task of the run's last checkpoint."""
    import torch

    snapshot = sorted(job.run_folder.glob("checkpoint_20*"))[-1]
    tensors = torch.load(snapshot / "state.pt", weights_only=True)
    return {name: tensor.numpy() for name, tensor in tensors["task"].items()}


def consumed_samples(job: PretrainJob) -> int:
    from rspnet_platform.stream.consumed import ConsumedVideos

    newest = sorted(job.run_folder.glob("checkpoint_20*"))[-1]
    return ConsumedVideos.from_json(json.loads((newest / "data.json").read_text())["consumed"]).num_samples


def test_a_run_leaves_what_its_user_needs(undisturbed):
    """One JSON object; every step tracked; retrieval beside random initialisation; a champion in the registry."""
    job, result = undisturbed
    assert result["num_steps"] == NUM_STEPS
    assert result["num_damaged_videos"] == 0
    assert result["model_uri"] == "models:/rspnet/1"
    assert result["model_alias"] == "models:/rspnet@champion"
    assert {"validation/retrieval_top1", "validation/random_retrieval_top1_mean"} <= set(result["metrics"])
    assert "rspnet_paper" in result["protocol"]
    assert result["report_parts_left_out"] == []
    assert f"{result['metrics']['validation/retrieval_top1']:.1%}" in Path(result["report"]).read_text()
    losses = job.losses()
    assert sorted(losses) == list(range(1, NUM_STEPS + 1))
    assert all(math.isfinite(loss) for loss in losses.values())
    assert consumed_samples(job) == NUM_STEPS * 8


def test_first_losses_are_the_golden_ones(undisturbed):
    """A change of sampling, augmentation, model or loss shows here. Tolerance: 1e-3 of each, for other CPUs."""
    golden = [float(line) for line in GOLDEN.read_text().splitlines() if not line.startswith("#")]
    losses = undisturbed[0].losses()
    assert [losses[step] for step in range(1, len(golden) + 1)] == pytest.approx(golden, rel=1e-3)


def test_a_finished_run_is_not_run_again(undisturbed):
    """Its name is refused, and what would be accepted is said."""
    done = undisturbed[0].run()
    assert done.returncode == 1
    assert done.stdout == ""
    assert "has finished; accepted is another --run.name" in done.stderr


def stop(job: PretrainJob, number: int, *, expected_status: int, expected_sender: str, **changes: object) -> int:
    """As soon as it trains: it ends with a checkpoint of the step that it is at, and says so last of all. Returns the
    step."""
    process = job.start(**changes)
    try:
        wait_until(lambda: f"/{NUM_STEPS} [" in (job.folder / "stderr.txt").read_text(), process)
        step_before = last_step(job)
        process.send_signal(number)
        assert process.wait(timeout=60) == expected_status
    finally:
        if process.poll() is None:
            kill_group(process)
    said = (job.folder / "stderr.txt").read_text()
    step = last_step(job)
    line = f"stopped by {expected_sender} at step {step}; the same command with --run.name {job.name} goes on"
    assert said.splitlines()[-1] == line
    assert "Traceback" not in said
    assert step_before < step < NUM_STEPS
    with sqlite3.connect(job.database) as database:
        assert database.execute("select status from runs").fetchall() == [("KILLED",)]
    return step


def damage_newest_checkpoint(job: PretrainJob) -> int:
    """A bit of its tensors. Returns the step of the one before."""
    *_, before, newest = sorted(job.run_folder.glob("checkpoint_20*"))
    content = bytearray((newest / "state.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (newest / "state.pt").write_bytes(content)
    return json.loads((before / "data.json").read_text())["step"]


def last_step(job: PretrainJob) -> int:
    checkpoints = sorted(job.run_folder.glob("checkpoint_20*"))
    return json.loads((checkpoints[-1] / "data.json").read_text())["step"] if checkpoints else 0


def test_a_training_worker_stops_in_order_at_ctrl_c(small_dataset, tmp_path):
    """With its checkpoint, though a process of its own trains."""
    job = PretrainJob(folder=tmp_path, dataset=small_dataset.uri)
    stop(job, signal.SIGINT, expected_status=130, expected_sender="Ctrl-C", scaling__num_workers=1)


def test_killed_and_resumed_equals_undisturbed(undisturbed, tmp_path):
    """SIGKILL to the whole job in the middle; another recipe does not go on with it, and the same command finishes it
    with the same losses and weights, though it is stopped once more and the checkpoint of that is damaged. In a worker
    of Ray Train until it is killed, in the job's own process after that and in the undisturbed run: bit for bit the
    same."""
    whole, _ = undisturbed
    job = PretrainJob(folder=tmp_path, dataset=whole.dataset)
    process = job.start(scaling__num_workers=1)
    try:
        wait_until(job.has_checkpoint, process)
    finally:
        kill_group(process)
    assert job.stage() == "training"
    changed = job.run(task__temperature=0.2)
    assert changed.returncode == 1
    assert "--task.temperature was 0.07, is 0.2" in changed.stderr
    stopped_step = stop(job, signal.SIGTERM, expected_status=143, expected_sender="SIGTERM")
    step_before = damage_newest_checkpoint(job)
    assert step_before < stopped_step
    assert job.result()["num_steps"] == NUM_STEPS
    num_before = stopped_step // FIRST_CHECKPOINT + (stopped_step % FIRST_CHECKPOINT > 0)
    num_checkpoints = num_before + (NUM_STEPS - step_before) // FIRST_CHECKPOINT
    assert job.num_checkpoints_saved() == num_checkpoints, "the run began anew instead of going on"
    losses = whole.losses()
    resumed = job.losses()
    assert sorted(resumed) == list(range(1, NUM_STEPS + 1))
    assert job.num_logged_losses() == NUM_STEPS
    assert resumed == losses
    expected, found = final_weights(whole), final_weights(job)
    assert all(np.array_equal(expected[name], found[name]) for name in expected)


def test_a_dying_worker_costs_nothing_but_time(small_dataset, tmp_path):
    """One of two workers is killed after a checkpoint: the run goes on by itself, each sample trained on once."""
    job = PretrainJob(folder=tmp_path, dataset=small_dataset.uri, switches=WITHOUT_REPORT)
    process = job.start(scaling__num_workers=2)
    try:
        wait_until(job.has_checkpoint, process)
        victim = descendants(process.pid, "RayTrainWorker")[0]
        victim.kill()
        assert process.wait(timeout=600) == 0, (tmp_path / "stderr.txt").read_text()[-6000:]
    finally:
        if process.poll() is None:
            kill_group(process)
    result = json.loads((tmp_path / "stdout.txt").read_text().splitlines()[-1])
    assert (result["num_steps"], result["num_samples"], result["num_unsent_metrics"]) == (NUM_STEPS, NUM_STEPS * 8, 0)
    assert "workers failed, going on from the last checkpoint: rank " in (tmp_path / "stderr.txt").read_text()
    assert max(job.losses()) == NUM_STEPS
    assert consumed_samples(job) == NUM_STEPS * 8


def test_the_encoder_is_pulled_without_ray(undisturbed, small_dataset):
    """In a fresh process and another folder: one embedding a video, the same for a path and for its bytes."""
    job, result = undisturbed
    videos = sorted((Path(small_dataset.uri).parent / "videos").rglob("*.mp4"))[:2]
    code = (
        "import sys, json, mlflow\n"
        f"mlflow.set_tracking_uri('sqlite:///{job.database}')\n"
        f"model = mlflow.pyfunc.load_model({result['model_alias']!r})\n"
        f"paths = {[str(video) for video in videos]!r}\n"
        "by_path, by_bytes = model.predict(paths), model.predict([open(path, 'rb').read() for path in paths])\n"
        "assert (by_path == by_bytes).all()\n"
        "assert 'ray' not in sys.modules\n"
        "print(json.dumps(by_path.shape))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/", timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [2, 128]
