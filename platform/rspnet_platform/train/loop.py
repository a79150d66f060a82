"""The loop that every worker runs: next batch, step, report, checkpoint. Listeners do the rest."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import ray.train
import torch

from rspnet_core.clip_batch import ClipBatch
from rspnet_core.train_step import NonFiniteLossError, StepReport
from rspnet_platform.config import TrainingRunConfig
from rspnet_platform.stream.stream_plan import StreamPlan
from rspnet_platform.stream.training_dataset import TrainingStream
from rspnet_platform.train.checkpoints import load_data_state, load_tensors
from rspnet_platform.train.listeners import Listener
from rspnet_platform.train.loop_task import LoopTask
from rspnet_platform.train.phase_timers import PhaseTimers
from rspnet_platform.train.saving import Saver, is_first_rank
from rspnet_platform.train.trained_samples import TrainedSamples
from rspnet_platform.train.training_state import TrainingState
from rspnet_platform.train.watches import RunStoppedError, Watch, diverged, shared_by_all_ranks
from rspnet_platform.validation.validation_turns import ValidationTurns


@dataclass(frozen=True, kw_only=True)
class LoopInputs:
    """What travels from the driver to each worker."""

    config: TrainingRunConfig
    stream: TrainingStream
    dataset_sha256: str
    listeners: tuple[Listener, ...]
    watches: tuple[Watch, ...] = ()
    loop_task: LoopTask = field(default_factory=LoopTask)
    turns: ValidationTurns | None = None


def train_loop(loop_config: dict[str, Any]) -> RunStoppedError | None:
    """Trains from the last checkpoint, or from the beginning, to the last step. Returns why it stopped before that."""
    inputs: LoopInputs = loop_config["inputs"]
    training = inputs.config.training
    state = start_state(inputs)
    plan = replace(inputs.stream.plan, consumed=state.consumed)
    timers, trained = PhaseTimers(), TrainedSamples(state.consumed)
    saver = Saver(state=state, trained=trained, dataset_sha256=inputs.dataset_sha256, turns=inputs.turns)
    stop: RunStoppedError | None = None
    with ExitStack() as stack:
        listeners = [stack.enter_context(listener) for listener in inputs.listeners] if is_first_rank() else []
        for batch in timers.each("data_wait", clip_batches(plan, inputs.config)):
            with timers.phase("step"):
                try:
                    report = state.train_on(inputs.loop_task.labelled(batch))
                except NonFiniteLossError as error:  # on all ranks: it is their mean
                    stop = diverged(error)
                    break
            trained.add(batch)
            if is_due(state, training.log_every_num_steps):
                with timers.phase("report"):
                    metrics = step_metrics(report, timers, state, inputs)
                    stop = look(state, metrics, inputs)
                    for listener in listeners:
                        listener.on_metrics(state.step, metrics)
            if is_first_rank():
                with timers.phase("checkpoint"):
                    inputs.loop_task.keep(state)
            if stop is not None and not stop.saves_state:
                break
            if is_due(state, training.checkpoint_every_num_steps):
                with timers.phase("checkpoint"):
                    saver.save(is_last=stop is not None or state.step == state.num_steps)
            if stop is not None:
                break
        if stop is None or stop.saves_state:
            saver.finish()
    return stop


def look(state: TrainingState, metrics: dict[str, float], inputs: LoopInputs) -> RunStoppedError | None:
    """Adds what the watches see to `metrics`, on rank 0; returns, on all, why the run has to stop."""
    stop = None
    for watch in inputs.watches if is_first_rank() else ():
        seen = watch.look(state.step, metrics)
        metrics.update(seen.metrics)
        stop = stop or seen.stop
    return shared_by_all_ranks(stop)


def start_state(inputs: LoopInputs) -> TrainingState:
    """A fresh state, or the last checkpoint's. Raises ValueError for a checkpoint of another data set."""
    state = TrainingState.create(
        inputs.config,
        num_steps=inputs.stream.plan.num_steps,
        consumed=inputs.stream.plan.consumed,
        build=inputs.loop_task.build,
    )
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is not None:
        data_state = load_data_state(checkpoint)
        if data_state.dataset_sha256 != inputs.dataset_sha256:
            raise ValueError(
                f"the checkpoint {checkpoint.path} was trained on data set {data_state.dataset_sha256}, and "
                f"this is {inputs.dataset_sha256}; accepted is the same data set, or another run name"
            )
        tensors = load_tensors(checkpoint, state.device)
        state.restore(tensors, step=data_state.step, consumed=data_state.consumed)
    return state


def clip_batches(plan: StreamPlan, config: TrainingRunConfig) -> Iterator[ClipBatch]:
    """This rank's part of each global batch, over all that the plan has left."""
    if not plan.num_executions:
        return
    shard = ray.train.get_dataset_shard("train")
    assert shard is not None
    num_workers = ray.train.get_context().get_world_size()
    for _ in range(plan.num_executions):
        for arrays in shard.iter_batches(
            batch_size=plan.global_batch_size // num_workers,
            batch_format="numpy",
            drop_last=True,
            prefetch_batches=config.training.num_prefetched_batches,
        ):
            # Ray's arrays are read-only views of shared memory, which torch would warn of.
            tensors = {str(name): torch.from_numpy(array.copy()) for name, array in dict(arrays).items()}
            yield ClipBatch(**tensors)


def step_metrics(report: StepReport, timers: PhaseTimers, state: TrainingState, inputs: LoopInputs) -> dict[str, float]:
    """The step's metrics and, over the steps since the last report, throughput and where the time went."""
    times = timers.take()
    global_batch_size = inputs.config.training.global_batch_size
    num_clips = times.counts["step"] * global_batch_size * inputs.stream.recipe.sampler.num_clips
    return {
        "train/loss": report.loss,
        "train/learning_rate": report.learning_rate,
        "train/epoch": state.step * global_batch_size / len(inputs.stream.plan.video_indices),
        "throughput/clips_per_second": num_clips / times.elapsed_seconds,
        "time/interval_seconds": times.elapsed_seconds,
        **{f"train/{name}": value for name, value in report.metrics.items()},
        **{f"time/{name}_fraction": fraction for name, fraction in times.fractions.items()},
    }


def is_due(state: TrainingState, every_num_steps: int) -> bool:
    return state.step % every_num_steps == 0 or state.step == state.num_steps
