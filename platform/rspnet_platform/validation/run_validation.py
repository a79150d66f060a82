"""The validation of a run's checkpoints, as its launch takes it."""

from dataclasses import dataclass

from ray.train.v2.api.validation_config import ValidationConfig, ValidationFn, ValidationTaskConfig

from rspnet_platform.validation.validation_turns import ValidationTurns

MAX_VALIDATION_SECONDS = 3600.0
"""The run's end waits for its validations, and no longer for one than that: it may have no CPU left to run on."""

MAX_TASK_RETRIES = 3
"""Of a process that dies: more than the task itself allows, so that it gives up before Ray does, who would end the
run."""


@dataclass(frozen=True, kw_only=True)
class RunValidation:
    """`validate` is Ray Train's validation function, and runs in a task with these CPUs and GPUs."""

    validate: ValidationFn
    turns: ValidationTurns
    num_cpus: float
    num_gpus: float

    def ray_config(self) -> ValidationConfig:
        return ValidationConfig(
            fn=self.validate,
            task_config=ValidationTaskConfig(timeout_s=MAX_VALIDATION_SECONDS),
            ray_remote_kwargs={
                "num_cpus": self.num_cpus,
                "num_gpus": self.num_gpus,
                "max_retries": MAX_TASK_RETRIES,
                # Not inside the resources of who started the run: a trial's process holds none.
                "scheduling_strategy": "DEFAULT",
            },
        )
