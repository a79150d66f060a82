"""A training run that records what each of its steps was trained on, in a process of its own that can be killed.

`python -m tests.end_to_end.recorded_run SETTINGS.json` trains to the end, from the last checkpoint where there is one.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 600
LET_GO = "let_go"
Samples = list[tuple[int, int]]
"""(epoch, video index), sorted."""


@dataclass(frozen=True, kw_only=True)
class RecordedRun:
    """Its settings. `num_cpus_of_nodes`: several raylets instead of a local Ray. `held_step`: it waits after that step
    until `let_go`, so that what is done to it meanwhile never comes too late; 0 waits nowhere."""

    folder: str
    dataset: str
    num_workers: int = 1
    num_epochs: int = 10
    global_batch_size: int = 8
    num_samples_per_visit: int = 1
    max_samples_per_execution: int = 500_000
    checkpoint_every_num_steps: int = 4
    held_step: int = 0
    num_cpus_of_nodes: tuple[int, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def run_uri(self) -> str:
        return f"{self.folder}/runs/run"

    def start(self, **changes: Any) -> subprocess.Popen:
        """In a process group of its own."""
        settings, changed = Path(self.folder) / "settings.json", replace(self, **changes)
        settings.write_text(json.dumps(asdict(changed)))
        environment = os.environ | {
            "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
            "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.3",  # at each of which one checkpoint is registered
        }
        if changed.num_cpus_of_nodes:  # set before the driver imports Ray, which reads it then
            environment["RAY_AUTH_MODE"] = "disabled"
        with open(f"{self.folder}/output.txt", "a") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.end_to_end.recorded_run", str(settings)],
                stdout=output,
                stderr=output,
                env=environment,
                cwd=self.folder,
                start_new_session=True,
            )

    @contextmanager
    def started(self, **changes: Any):
        """Leaves no process behind."""
        process = self.start(**changes)
        try:
            yield process
        finally:
            kill_group(process)

    def finish(self, process: subprocess.Popen) -> None:
        """Waits for its end, which must be a good one."""
        assert process.wait(timeout=TIMEOUT_SECONDS) == 0, Path(f"{self.folder}/output.txt").read_text()[-6000:]

    def wait_until(self, condition: Callable[[], object], process: subprocess.Popen) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not condition():
            assert process.poll() is None, Path(f"{self.folder}/output.txt").read_text()[-6000:]
            assert time.monotonic() < deadline, "took too long"
            time.sleep(0.01)

    def let_go(self) -> None:
        (Path(self.folder) / LET_GO).touch()

    @property
    def checkpoint_list(self) -> Path:
        return Path(self.run_uri) / "checkpoint_manager_snapshot.json"

    def last_checkpointed_step(self) -> int:
        """0 before the first, and -1 in the moment in which Ray overwrites its list of them."""
        if not self.checkpoint_list.exists():
            return 0
        try:
            return json.loads(self.checkpoint_list.read_text())["latest_checkpoint_result"]["metrics"]["step"]
        except ValueError:
            return -1

    def records(self) -> list[dict]:
        """What each rank has written so far."""
        lines = [line for path in Path(self.folder).glob("records/*.jsonl") for line in path.read_text().splitlines()]
        return [json.loads(line) for line in lines if line.endswith("}")]

    def history(self) -> dict[int, Samples]:
        """Of each step, what the last attempt at it was trained on, over all its ranks: earlier ones are lost."""
        attempts: dict[int, dict[int, Samples]] = defaultdict(lambda: defaultdict(list))
        for record in self.records():
            attempts[record["step"]][record["attempt"]] += [tuple(sample) for sample in record["samples"]]
        return {step: sorted(attempts[step][max(attempts[step])]) for step in sorted(attempts)}

    def num_attempts(self) -> int:
        return len({record["attempt"] for record in self.records()})


def kill_group(process: subprocess.Popen) -> None:
    """SIGKILL to a run and all that it started; harmless after its end."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def recording_loop(folder: str, held_step: int, loop_config: dict) -> Any:
    """The real loop, whose steps write a line each once they are done."""
    import ray
    import ray.train
    from ray.train.collective import broadcast_from_rank_zero
    from rspnet_platform.train import loop
    from rspnet_platform.train.training_state import TrainingState

    attempt = broadcast_from_rank_zero(time.time_ns())
    rank = ray.train.get_context().get_world_rank()
    train_on = TrainingState.train_on
    path = Path(folder) / "records" / f"{attempt}-{rank}.jsonl"
    path.parent.mkdir(exist_ok=True)

    def recording_train_on(self, batch):
        report = train_on(self, batch)
        samples = list(zip(batch.epoch.tolist(), batch.video_index.tolist(), strict=True))
        node_id = ray.get_runtime_context().get_node_id()
        with path.open("a") as file:
            record = {"attempt": attempt, "step": self.step, "rank": rank, "node_id": node_id, "samples": samples}
            file.write(json.dumps(record) + "\n")
        while self.step == held_step and not (Path(folder) / LET_GO).exists():
            time.sleep(0.05)
        return report

    TrainingState.train_on = recording_train_on
    try:
        return loop.train_loop(loop_config)
    finally:
        TrainingState.train_on = train_on


def drive(settings: RecordedRun) -> None:
    """Connects to Ray and trains, as a job does between opening its data set and evaluating."""
    from functools import partial

    from ray import cloudpickle
    from rspnet_platform import runtime
    from rspnet_platform.shards.dataset import open_dataset
    from rspnet_platform.train import launch

    from jobs.recipes import tiny_cpu

    config = tiny_cpu()
    task: Any = config.task
    config = replace(
        config,
        task=replace(
            task,
            clips=replace(task.clips, num_frames_per_clip=4),
            view=replace(config.task.view, crop_size=32),
            queue_size=16,
        ),
        data=replace(config.data, num_samples_per_visit=settings.num_samples_per_visit, **settings.data),
        training=replace(
            config.training,
            num_epochs=settings.num_epochs,
            global_batch_size=settings.global_batch_size,
            checkpoint_every_num_steps=settings.checkpoint_every_num_steps,
        ),
        scaling=replace(config.scaling, num_workers=str(settings.num_workers)),
    )
    # This module is not among those that the workers get.
    cloudpickle.register_pickle_by_value(importlib.import_module("tests.end_to_end.recorded_run"))
    loop = partial(recording_loop, settings.folder, settings.held_step)
    launch.train_loop = loop
    dataset = open_dataset(settings.dataset)
    stream = launch.plan_stream(config, dataset, settings.run_uri)
    stream = replace(stream, plan=replace(stream.plan, max_samples_per_execution=settings.max_samples_per_execution))
    connect(settings.num_cpus_of_nodes, Path(settings.folder))
    try:
        resources, _ = launch.plan_resources(config)
        launch.launch_training(
            config,
            run_uri=settings.run_uri,
            stream=stream,
            resources=resources,
            dataset_sha256=dataset.description.manifest_sha256,
            listeners=(),
        )
    finally:
        runtime.disconnect()


def connect(num_cpus_of_nodes: tuple[int, ...], folder: Path) -> None:
    """To a Ray of one node, or to several; `nodes.json` then says which raylet each but the head has."""
    from rspnet_platform import runtime

    if not num_cpus_of_nodes:
        runtime.connect(num_cpus=2)
        return
    from ray.cluster_utils import Cluster

    os.environ["RAY_TRAIN_ENABLE_PREEMPTION_WATCHER"] = "0"
    head, *others = num_cpus_of_nodes
    memory = {"object_store_memory": 100 * 1024**2}
    # A node counts as dead after three seconds instead of half a minute.
    soon = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 500, "health_check_failure_threshold": 6}
    options = {"num_cpus": head, "include_dashboard": False, "_system_config": soon, **memory}
    cluster: Any = Cluster(initialize_head=True, head_node_args=options)
    nodes = [cluster.add_node(num_cpus=num_cpus, **memory) for num_cpus in others]
    raylets = {node.node_id: node.all_processes["raylet"][0].process.pid for node in nodes}
    (folder / "nodes.json").write_text(json.dumps(raylets))
    os.environ["RAY_ADDRESS"] = cluster.address
    runtime.connect()


if __name__ == "__main__":
    values = json.loads(Path(sys.argv[1]).read_text())
    values["num_cpus_of_nodes"] = tuple(values["num_cpus_of_nodes"])
    importlib.import_module("tests.end_to_end.recorded_run").drive(RecordedRun(**values))
