"""Ray Train on a Ray of this machine alone: the same training, with fewer processes to start.

On two cores each process that Ray starts costs a run's first step a second or more. Here the controller and the workers
take processes that were started beforehand, where Ray Train would start others for runtime environments that hold what
all processes of a local cluster have from their birth. And no process waits for the controller's death to give its
placement group back: Ray's asks a dashboard, which a local cluster does not have, and `reservation.py` does it.
"""

from typing import Any

import ray
from ray.train.v2._internal.callbacks import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.worker_group.worker_group import WorkerGroup

from rspnet_platform.train.jobs_trainer import JobsTrainer


class LocalWorkerGroup(WorkerGroup):
    """Workers have the environment of their cluster."""

    @staticmethod
    def _get_worker_runtime_env(custom_runtime_env: Any) -> Any:
        return custom_runtime_env


class LocalTrainController(TrainController):
    worker_group_cls = LocalWorkerGroup


class LocalTrainer(JobsTrainer):
    """Overrides what is Ray Train's own: a test fails where a new version of Ray no longer calls it."""

    def _create_default_callbacks(self) -> list[Any]:
        left_out: tuple[type, ...] = (PlacementGroupCleanerCallback,)
        if not self.datasets:
            left_out += (DatasetsCallback,)
        return [callback for callback in super()._create_default_callbacks() if not isinstance(callback, left_out)]

    def _initialize_and_run_controller(self, **controller: Any) -> Any:
        actor: Any = ray.remote(num_cpus=0)(LocalTrainController).remote(**controller)
        ray.get(actor.run.remote())
        return ray.get(actor.get_result.remote())
