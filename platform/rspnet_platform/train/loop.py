"""The loop that every worker runs: next batch, step, report, checkpoint. Listeners do the rest."""

from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

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
from rspnet_platform.train.pulse import Pulse, PulseBoard
from rspnet_platform.train.saving import Saver
from rspnet_platform.train.trained_samples import TrainedSamples
from rspnet_platform.train.training_state import TrainingState
from rspnet_platform.train.watches import RunStoppedError, Watch, diverged, shared_by_all_ranks
from rspnet_platform.train.worker import RayTrainWorker, Worker
from rspnet_platform.validation.validation_turns import ValidationTurns


@dataclass(frozen=True, kw_only=True)
class LoopInputs:
    """What travels from the driver to each worker. `reads_alone`: as of `RayTrainWorker`."""

    config: TrainingRunConfig
    stream: TrainingStream
    dataset_sha256: str
    listeners: tuple[Listener, ...]
    watches: tuple[Watch, ...] = ()
    loop_task: LoopTask = field(default_factory=LoopTask)
    turns: ValidationTurns | None = None
    reads_alone: bool = False
    pulse: PulseBoard = field(default_factory=PulseBoard)


def train_loop(loop_config: dict[str, Any]) -> RunStoppedError | None:
    """What Ray Train runs in each of its workers: see `train_on`."""
    inputs: LoopInputs = loop_config["inputs"]
    worker = RayTrainWorker(reads_alone=inputs.reads_alone)
    return train_on(worker, inputs, start_state(worker, inputs))


def train_on(worker: Worker, inputs: LoopInputs, state: TrainingState) -> RunStoppedError | None:
    """Trains from `state` to the last step. Returns why it stopped before that."""
    training = inputs.config.training
    plan = replace(inputs.stream.plan, consumed=state.consumed)
    timers, trained = PhaseTimers(), TrainedSamples(state.consumed)
    stop: RunStoppedError | None = None
    with ExitStack() as stack:
        listeners = [stack.enter_context(listener) for listener in inputs.listeners] if worker.is_first else []
        saver = Saver(
            worker=worker,
            state=state,
            trained=trained,
            dataset_sha256=inputs.dataset_sha256,
            turns=inputs.turns,
            listeners=listeners,
        )
        # Closed whatever happens: its threads ask Ray for more, which must not be left before they end.
        batches = stack.enter_context(closing(clip_batches(worker, plan, inputs)))
        pulse = stack.enter_context(pulse_of(worker, inputs, state))
        for batch in timers.each("data_wait", batches):
            with timers.phase("step"):
                try:
                    report = state.train_on(inputs.loop_task.labelled(batch))
                except NonFiniteLossError as error:  # on all ranks: it is their mean
                    stop = diverged(error)
                    break
            trained.add(batch)
            pulse.step = state.step
            if is_due(state, training.log_every_num_steps):
                with timers.phase("report"):
                    metrics = step_metrics(report, timers, state, inputs)
                    stop = look(state, metrics, inputs.watches if worker.is_first else (), pulse)
                    for listener in listeners:
                        listener.on_metrics(state.step, metrics)
            elif worker.num_workers == 1:  # several agree at the steps that are logged
                stop = pulse.stop
            if worker.is_first:
                with timers.phase("checkpoint"):
                    inputs.loop_task.keep(state)
            if stop is not None and not stop.saves_state:
                break
            if is_due(state, training.checkpoint_every_num_steps):
                with timers.phase("checkpoint"):
                    saver.save(is_last=is_end(stop, state))
                if stop is None or stop.ends_run:
                    with timers.phase("validation"):
                        worker.validate()
            if stop is not None:
                break
        if stop is None or stop.saves_state:
            saver.finish(is_last=stop is None or stop.ends_run)
        if stop is None or (stop.saves_state and stop.ends_run):
            worker.validate()
    return stop


def is_end(stop: RunStoppedError | None, state: TrainingState) -> bool:
    return state.step == state.num_steps or (stop is not None and stop.ends_run)


def pulse_of(worker: Worker, inputs: LoopInputs, state: TrainingState) -> Pulse:
    return Pulse(inputs.pulse, rank=worker.rank, num_workers=worker.num_workers, step=state.step)


def look(
    state: TrainingState, metrics: dict[str, float], watches: Sequence[Watch], pulse: Pulse
) -> RunStoppedError | None:
    """Adds what the watches, rank 0's, see to `metrics`; returns, on all ranks, why the run has to stop."""
    stop: RunStoppedError | None = None
    for watch in watches:
        seen = watch.look(state.step, metrics)
        metrics.update(seen.metrics)
        stop = stop or seen.stop
    stop = stop or pulse.stop
    return shared_by_all_ranks(stop)


def start_state(worker: Worker, inputs: LoopInputs) -> TrainingState:
    """A fresh state, or the last checkpoint's. Raises ValueError for a checkpoint of another data set."""
    state = TrainingState.create(
        worker,
        inputs.config,
        num_steps=inputs.stream.plan.num_steps,
        # An account of its own: what comes is entered while the stream, maybe in this very process, reads the plan.
        consumed=deepcopy(inputs.stream.plan.consumed),
        build=inputs.loop_task.build,
    )
    checkpoint = worker.newest_checkpoint()
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


def clip_batches(worker: Worker, plan: StreamPlan, inputs: LoopInputs) -> Generator[ClipBatch, None, None]:
    """This rank's part of each global batch, over all that the plan has left."""
    if not plan.num_executions:
        return
    samples = worker.samples(inputs.stream)
    for _ in range(plan.num_executions):
        for arrays in samples.iter_batches(
            batch_size=plan.global_batch_size // worker.num_workers,
            batch_format="numpy",
            drop_last=True,
            prefetch_batches=inputs.config.training.num_prefetched_batches,
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
