"""Training in the process that the job runs in, where a debugger, a profiler and a notebook reach it.

The same loop on the same batches as in one worker of Ray Train, and the same folder of a run: either goes on with what
the other has left. What Ray Train would do beside it happens between two steps: a checkpoint is in the run's storage,
and validated, before the next step begins.
"""

import logging
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
import ray.data
import torch
from ray.train import Checkpoint, ReportedCheckpointStatus, RunConfig
from ray.train.v2._internal.execution.checkpoint.checkpoint_manager import CheckpointManager
from ray.train.v2._internal.execution.training_report import _TrainingReport
from torch import nn

from rspnet_core.pretext.task import PretextTask
from rspnet_platform.object_store import StorageError
from rspnet_platform.stream.training_dataset import TrainingStream
from rspnet_platform.train.failure_notice import storage_error_in
from rspnet_platform.train.loop import LoopInputs, start_state, train_on
from rspnet_platform.train.worker import Worker
from rspnet_platform.validation.run_validation import RunValidation

MAX_SECONDS_OF_THREADS = 5.0

PARKED = "Prefetcher"
"""Ray Data's thread of that name never ends where an iteration is broken off, and asks for nothing either."""


def train_in_process(worker: "InProcessWorker", inputs: LoopInputs) -> None:
    """Trains to the end. Raises StorageError when a store stays away, and what the loop returns as its reason to stop
    before the end. A ValueError out of the loop is no mistake of its user's: as a RuntimeError it keeps its
    traceback."""
    state, threads = start_state(worker, inputs), set(threading.enumerate())
    try:
        stop = train_on(worker, inputs, state)
    except BaseException as error:
        wait_for_threads(set(threading.enumerate()) - threads)
        if (storage_error := storage_error_in([error])) is not None:
            raise storage_error from error
        if isinstance(error, ValueError):
            raise RuntimeError(f"the training failed at step {state.step}: {error}") from error
        raise
    finally:
        if worker.device.type == "cuda":
            torch.cuda.empty_cache()  # for the evaluation, which has a process of its own there
    if stop is not None:
        wait_for_threads(set(threading.enumerate()) - threads)
        raise stop


def wait_for_threads(threads: set[threading.Thread]) -> None:
    """Of Ray Data's iteration, which was broken off: one that asks Ray for something after it is left ends the process
    without a word of what went wrong."""
    deadline = time.monotonic() + MAX_SECONDS_OF_THREADS
    for thread in threads:
        if thread.name != PARKED:
            thread.join(timeout=max(0.0, deadline - time.monotonic()))


class CheckpointsOfRun(CheckpointManager):
    """Ray Train's own list of a run's checkpoints, kept without its controller."""

    def _notify(self) -> None:
        """Nobody waits for it."""


class InProcessWorker(Worker):
    """The only worker. `run_config` is that of Ray Train's `fit`; `cpus` are left to it by decode tasks."""

    rank, num_workers, num_workers_on_node = 0, 1, 1

    def __init__(self, run_config: RunConfig, validation: RunValidation | None, *, cpus: float, use_gpu: bool) -> None:
        self.device = torch.device("cuda" if use_gpu else "cpu")
        self._storage = run_config.storage_context
        config: Any = run_config.checkpoint_config
        self._checkpoints = CheckpointsOfRun(config, self._storage)
        self._callbacks, self._validation, self._cpus = run_config.callbacks or [], validation, cpus
        self.validate()  # what was reported before the run was ended

    def prepare(self, task: PretextTask) -> nn.Module:
        return task.to(self.device)

    def newest_checkpoint(self) -> Checkpoint | None:
        newest = self._checkpoints.latest_checkpoint_result
        return newest.checkpoint if newest else None

    def samples(self, stream: TrainingStream) -> ray.data.Dataset:
        """Decode tasks leave the CPUs to this process that a worker would have reserved, and wait for it as long as its
        user looks at it."""
        samples = stream()
        cpus_left = max(stream.cpus_per_decode_task, ray.cluster_resources().get("CPU", 0.0) - self._cpus)
        samples.context.execution_options.resource_limits = ray.data.ExecutionResources(cpu=cpus_left)
        samples.context.execution_no_progress_timeout_s = -1
        return samples

    def report(self, metrics: Mapping[str, float], folder: Path | None, *, is_validated: bool) -> None:
        assert folder is not None
        name = self._storage.make_default_checkpoint_dir_name()
        try:
            kept = self._storage.persist_current_checkpoint(Checkpoint.from_directory(folder), name)
        except StorageError:
            raise
        except OSError as error:  # pyarrow's, of a local folder, does not say where
            place = self._storage.build_checkpoint_path_from_name(name)
            raise StorageError(f"cannot write the checkpoint {place}: {error}") from error
        finally:
            shutil.rmtree(folder)
        report = _TrainingReport(checkpoint=kept, metrics=dict(metrics), validation=is_validated)
        self._checkpoints.register_checkpoint(report)
        context: Any = None
        for callback in self._callbacks:
            callback.after_report(context, [dict(metrics)], kept)

    def validate(self) -> None:
        """A validation that fails leaves run and checkpoint as they are, and has said why. Without any, what waits for
        one goes on waiting."""
        if self._validation is None:
            return
        num_threads = torch.get_num_threads()
        for checkpoint in list(self._checkpoints.get_pending_training_results()):
            try:
                outcome: Any = self._validation.validate(checkpoint), ReportedCheckpointStatus.VALIDATED
            except Exception:
                logging.getLogger(__name__).debug("validation failed", exc_info=True)
                outcome = {}, ReportedCheckpointStatus.VALIDATION_FAILED
            finally:
                torch.set_num_threads(num_threads)
            self._checkpoints.update_checkpoints_with_validation_result({checkpoint: outcome})

    def wait_until_listed(self, reported_step: int) -> None:
        """`report` has waited."""

    def is_validating(self, reported_step: int) -> bool:  # noqa: ARG002
        return False
