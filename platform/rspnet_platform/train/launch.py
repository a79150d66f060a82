"""One training run on Ray Train: the same launch for a job, a sweep's trial and a test."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from ray.train import CheckpointConfig, DataConfig, FailureConfig, LoggingConfig, RunConfig, ScalingConfig, UserCallback
from ray.train.torch import TorchTrainer

from rspnet_platform import runtime, storage
from rspnet_platform.config import PretrainConfig, TrainingRunConfig
from rspnet_platform.local_cluster import is_local_cluster
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.clip_dataset import execution_options
from rspnet_platform.stream.clip_decoding import SampleRecipe
from rspnet_platform.stream.consumed import ConsumedVideos
from rspnet_platform.stream.cpu_budget import Budget, Claim, fitting_cpus_per_worker
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.stream.frame_readers import frame_reader
from rspnet_platform.stream.splits import select_videos
from rspnet_platform.stream.stream_plan import StreamPlan, VideoLocations
from rspnet_platform.stream.training_dataset import TrainingStream
from rspnet_platform.train.checkpoint_list import (
    CheckpointListKeeper,
    delete_unlisted_checkpoints,
    mend_checkpoint_list,
)
from rspnet_platform.train.checkpoints import latest_checkpoint, load_data_state
from rspnet_platform.train.damaged_checkpoints import fit_past_damaged_checkpoints
from rspnet_platform.train.fitting import fit_to_the_end
from rspnet_platform.train.in_process import InProcessWorker, train_in_process
from rspnet_platform.train.jobs_trainer import JobsTrainer
from rspnet_platform.train.listeners import Listener
from rspnet_platform.train.loop import LoopInputs, train_loop
from rspnet_platform.train.loop_task import LoopTask
from rspnet_platform.train.pulse import PulseBoard
from rspnet_platform.train.reservation import ReservationListener
from rspnet_platform.train.run_storage import run_filesystem
from rspnet_platform.train.watches import Watch
from rspnet_platform.validation.run_validation import RunValidation

MAX_CONTROLLER_FAILURES = 3
"""Ray's default is to try for ever to start a worker group that cannot start."""


@dataclass(frozen=True, kw_only=True)
class WorkerResources:
    cpus_per_worker: float
    use_gpu: bool
    min_workers: int
    max_workers: int
    has_validation: bool = False
    in_process: bool = False


def plan_stream(
    config: TrainingRunConfig, dataset: ShardedDataset, run_uri: str, video_indices: np.ndarray | None = None
) -> TrainingStream:
    """What the run reads: `video_indices`, ascending, or without them the videos of `data.split`. Raises ValueError for
    a split that does not exist, a batch that does not fit, a decoder that the data set's profile does not have, and
    samples that would not fit into a decode task's memory."""
    if video_indices is None:
        video_indices = select_videos(dataset, config.data.split)
    plan = StreamPlan(
        dataset_uri=dataset.uri,
        locations=VideoLocations.from_dataset(dataset),
        video_indices=video_indices,
        seed=config.training.seed,
        num_epochs=config.training.num_epochs,
        global_batch_size=config.training.global_batch_size,
        worker_counts=config.scaling.worker_counts,
        num_row_groups_per_window=config.data.num_row_groups_per_window,
        num_samples_per_visit=config.data.num_samples_per_visit,
        consumed=ConsumedVideos(num_videos=dataset.description.num_videos, num_videos_per_epoch=len(video_indices)),
    )
    return TrainingStream(
        plan=plan,
        recipe=SampleRecipe(
            sampler=config.task.clips,
            views=config.task.views,
            seed=config.training.seed,
            reader=frame_reader(dataset.description, config.data.decoder),
        ),
        damage=DamageLedger(uri=storage.join(run_uri, "damaged_videos")),
        cpus_per_decode_task=config.scaling.cpus_per_decode_task,
        read_consumed=partial(read_consumed, run_uri),
    )


def read_consumed(run_uri: str) -> ConsumedVideos | None:
    """What the run's last checkpoint accounts for."""
    checkpoint = latest_checkpoint(run_uri)
    return load_data_state(checkpoint).consumed if checkpoint else None


def plan_resources(config: TrainingRunConfig) -> tuple[WorkerResources, Budget]:
    """What each worker gets. Raises BudgetError, with a table, for what the cluster cannot hold.

    An elastic run is kept to as many workers as leave a decode task room now: Ray would let it grow until none can run.
    Validation takes what is left, or there is none, unless the run asks for it.
    """
    cpus, gpus = runtime.cluster_resources()
    scaling, (validation, is_asked_for) = config.scaling, validation_claim(config)
    low, high = scaling.worker_range
    has_gpu = gpus > 0 and (not scaling.is_in_process or torch.cuda.is_available())
    use_gpu = has_gpu if scaling.use_gpu is None else scaling.use_gpu
    cpus_per_worker = scaling.cpus_per_worker or fitting_cpus_per_worker(
        num_workers=high, cpus_per_decode_task=scaling.cpus_per_decode_task, cluster_cpus=cpus
    )

    def budget(num_workers: int, *, has_validation: bool) -> Budget:
        who = "training, in this process" if scaling.is_in_process else "training workers"
        workers = Claim(who=who, count=num_workers, cpus=cpus_per_worker, gpus=float(use_gpu))
        decoding = Claim(who="decode tasks, at least", count=1, cpus=scaling.cpus_per_decode_task)
        has_own_process = has_validation and not scaling.is_in_process
        claims = (workers, decoding, validation) if has_own_process else (workers, decoding)
        return Budget(claims=claims, cluster_cpus=cpus, cluster_gpus=gpus)

    budget(low, has_validation=is_asked_for).check()
    cpus_of_others = budget(0, has_validation=is_asked_for).cpus
    resources = WorkerResources(
        cpus_per_worker=cpus_per_worker,
        use_gpu=use_gpu,
        min_workers=low,
        max_workers=min(high, int((cpus - cpus_of_others) / cpus_per_worker)),
        in_process=scaling.is_in_process,
    )
    has_room = not budget(resources.max_workers, has_validation=True).too_few
    has_validation = validation.count > 0 and (is_asked_for or has_room)
    return replace(resources, has_validation=has_validation), budget(low, has_validation=has_validation)


def validation_claim(config: TrainingRunConfig) -> tuple[Claim, bool]:
    """What the validation of the run's checkpoints wants, and whether the run asks for it."""
    if not isinstance(config, PretrainConfig) or config.validation.protocol == "none":
        return Claim(who="validation", count=0, cpus=0.0), False
    options = config.validation
    return Claim(who="validation", count=1, cpus=options.num_cpus, gpus=options.num_gpus), options.is_asked_for


def launch_training(
    config: TrainingRunConfig,
    *,
    run_uri: str,
    stream: TrainingStream,
    resources: WorkerResources,
    dataset_sha256: str,
    listeners: tuple[Listener, ...],
    watches: tuple[Watch, ...] = (),
    callbacks: tuple[UserCallback, ...] = (),
    loop_task: LoopTask | None = None,
    validation: RunValidation | None = None,
    pulse: PulseBoard | None = None,
) -> None:
    """Trains to the end, from the run's last checkpoint where it has one. Raises TrainingFailedError after
    `run.max_failures` restarts, StorageError when a store stays away, and RunStoppedError where a watch asks for it.

    Where videos are damaged, less than a batch is left over by each iteration over the data set; once all of that
    together is a batch and more, training goes on with it.
    """
    run_config = build_run_config(config, run_uri, callbacks, validation)
    inputs = LoopInputs(
        config=config,
        stream=stream,
        dataset_sha256=dataset_sha256,
        listeners=(*listeners, ReservationListener(run_uri=run_uri)),
        watches=watches,
        loop_task=loop_task or LoopTask(),
        turns=validation.turns if validation else None,
        reads_alone=is_local_cluster() and resources.min_workers == resources.max_workers == 1,
        pulse=pulse or PulseBoard(),
    )
    if resources.in_process:
        mend_checkpoint_list(run_uri)
        delete_unlisted_checkpoints(run_uri)

        def fit() -> None:
            cpus, use_gpu = resources.cpus_per_worker, resources.use_gpu
            train_in_process(InProcessWorker(run_config, validation, cpus=cpus, use_gpu=use_gpu), inputs)

    else:
        new_trainer = partial(build_trainer, run_config, resources, inputs, validation)

        def fit() -> None:
            fit_to_the_end(new_trainer, run_uri, config.run.max_failures)

    num_left = None
    while True:
        fit_past_damaged_checkpoints(fit, run_uri)
        num_left_before, num_left = num_left, stream.num_undamaged_samples_left()
        if num_left < config.training.global_batch_size or num_left == num_left_before:
            delete_unlisted_checkpoints(run_uri)
            return


def trainer_class() -> type[TorchTrainer]:
    if not is_local_cluster():
        return JobsTrainer
    from rspnet_platform.train.local_trainer import LocalTrainer

    return LocalTrainer


def build_trainer(
    run_config: RunConfig, resources: WorkerResources, inputs: LoopInputs, validation: RunValidation | None
) -> TorchTrainer:
    low, high = resources.min_workers, resources.max_workers
    return trainer_class()(
        train_loop,
        train_loop_config={"inputs": inputs},
        scaling_config=ScalingConfig(
            num_workers=low if low == high else (low, high),
            use_gpu=resources.use_gpu,
            resources_per_worker={"CPU": resources.cpus_per_worker},
        ),
        datasets={} if inputs.reads_alone else {"train": inputs.stream},
        dataset_config=DataConfig(execution_options=execution_options()),
        validation_config=validation.ray_config() if validation else None,
        run_config=run_config,
    )


def build_run_config(
    config: TrainingRunConfig, run_uri: str, callbacks: tuple[UserCallback, ...], validation: RunValidation | None
) -> RunConfig:
    storage_uri, name = run_uri.rsplit("/", 1)
    filesystem, storage_path = run_filesystem(storage_uri)
    return RunConfig(
        name=name,
        storage_path=storage_path,
        storage_filesystem=filesystem,
        failure_config=FailureConfig(
            max_failures=config.run.max_failures, controller_failure_limit=MAX_CONTROLLER_FAILURES
        ),
        # By a score the best ones are kept; the latest is in any case.
        checkpoint_config=CheckpointConfig(
            num_to_keep=config.training.num_checkpoints_kept,
            checkpoint_score_attribute=validation.turns.score if validation else None,
        ),
        callbacks=[*callbacks, CheckpointListKeeper(run_uri)],
        logging_config=LoggingConfig(log_level="WARNING"),
    )
