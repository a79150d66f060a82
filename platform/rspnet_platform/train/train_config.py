"""How long, how large and where a run trains, and under which name it is found again."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """`global_batch_size` counts videos over all workers and stays the same when their number changes.

    `precision`: "bf16" runs the forward pass under autocast. `max_batch_size_per_worker`: a worker's part of the batch
    that is larger goes through the network in equal parts, whose gradients are averaged; none takes it whole.

    `num_checkpoints_kept`: the newest, or of those that are validated the best; the newest one is kept in any case.
    """

    num_epochs: int = 200
    global_batch_size: int = 256
    seed: int = 0
    max_batch_size_per_worker: int | None = None
    precision: Precision = "fp32"
    log_every_num_steps: int = 10
    checkpoint_every_num_steps: int = 200
    num_checkpoints_kept: int = 2
    num_prefetched_batches: int = 2

    def __post_init__(self) -> None:
        for name in (
            "num_epochs",
            "global_batch_size",
            "log_every_num_steps",
            "checkpoint_every_num_steps",
            "num_checkpoints_kept",
            "num_prefetched_batches",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; accepted are whole numbers from 1 on")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; accepted are whole numbers from 0 on")
        if self.max_batch_size_per_worker is not None and self.max_batch_size_per_worker < 1:
            raise ValueError(
                f"max_batch_size_per_worker is {self.max_batch_size_per_worker}; accepted: 1 or more, none"
            )
        if self.precision not in get_args(Precision):
            raise ValueError(f"precision is {self.precision!r}; accepted are {', '.join(get_args(Precision))}")

    def num_micro_batches(self, num_workers: int) -> int:
        """The smallest number of equal parts of a worker's batch that keep to `max_batch_size_per_worker`."""
        whole = self.global_batch_size // num_workers
        limit = self.max_batch_size_per_worker or whole
        return next(parts for parts in range(1, whole + 1) if whole % parts == 0 and whole // parts <= limit)


@dataclass(frozen=True, kw_only=True)
class ScalingOptions:
    """`num_workers`: "4", or "1:2" for a run that goes on with what is there (each number of the range must divide the
    batch, and no more are taken than fit when the run starts). "0" trains in the job's own process (a sweep's trial in
    that of the trial), for a debugger, a profiler or a notebook: with the losses of one worker, and nothing that starts
    it anew when it dies.

    `use_gpu`: none takes GPUs where the cluster has any. `cpus_per_worker`: none takes one CPU, or half a one where
    that is all that leaves a decode task room.
    """

    num_workers: str = "1"
    use_gpu: bool | None = None
    cpus_per_worker: float | None = None
    cpus_per_decode_task: float = 0.5

    def __post_init__(self) -> None:
        low, high = self.worker_range
        if not 1 <= low <= high:
            raise ValueError(f"num_workers is {self.num_workers!r}; accepted are 0, N, or MIN:MAX with 1 <= MIN <= MAX")
        if self.cpus_per_decode_task <= 0 or (self.cpus_per_worker is not None and self.cpus_per_worker <= 0):
            raise ValueError("cpus_per_worker and cpus_per_decode_task must be above 0")

    @property
    def is_in_process(self) -> bool:
        return self.num_workers == "0"

    @property
    def worker_range(self) -> tuple[int, int]:
        """The training process itself counts as one worker."""
        if self.is_in_process:
            return 1, 1
        match = re.fullmatch(r"(\d+)(?::(\d+))?", self.num_workers)
        if not match:
            raise ValueError(f"num_workers is {self.num_workers!r}; accepted are 0, N or MIN:MAX, such as 4 or 2:8")
        low = int(match[1])
        return low, int(match[2] or low)

    @property
    def worker_counts(self) -> tuple[int, ...]:
        low, high = self.worker_range
        return tuple(range(low, high + 1))


@dataclass(frozen=True, kw_only=True)
class RunIdentity:
    """`name` with `storage` is the run: the same pair again resumes it. None generates a name.

    `storage`: a folder or URI that every node reaches; none takes the folder `runs` where the job is started.
    `max_failures`: restarts after the death of a worker, a node or Ray Train's controller before the run fails.
    `report`: at its end a page of its numbers and pictures is made and logged with it, `report.html`.
    """

    name: str | None = None
    storage: str | None = None
    max_failures: int = 3
    report: bool = True

    def __post_init__(self) -> None:
        if self.name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", self.name):
            raise ValueError(
                f"run name is {self.name!r}; accepted are letters, digits, '.', '_' and '-', beginning with a letter "
                "or digit, 128 at the most"
            )
        if self.max_failures < 0:
            raise ValueError(f"max_failures is {self.max_failures}; accepted are whole numbers from 0 on")
