"""One recipe with one seed: pretraining alone, which goes on where it stopped. Its encoder is asked later, with all
others."""

from collections.abc import Mapping
from dataclasses import dataclass

from rspnet_platform.benchmark.benchmark_config import BenchmarkConfig
from rspnet_platform.benchmark.training_cost import CostWatch
from rspnet_platform.command_line import say
from rspnet_platform.config import PretrainConfig, flatten
from rspnet_platform.home import default_home
from rspnet_platform.lease import leased
from rspnet_platform.pretraining import log_damage, train
from rspnet_platform.run import Run, begin, closing_run_on_failure, send_unsent_metrics, settle
from rspnet_platform.stream.training_dataset import TrainingStream
from rspnet_platform.tracking import runs
from rspnet_platform.train.launch import WorkerResources, plan_stream
from rspnet_platform.train.requirements import check_requirements
from rspnet_platform.train.run_record import RunRecord
from rspnet_platform.train.watches import RunStoppedError


@dataclass(frozen=True, kw_only=True)
class BenchmarkRun:
    """A run that was found to be possible."""

    recipe: str
    seed: int
    run: Run[PretrainConfig]
    stream: TrainingStream

    @property
    def num_clips(self) -> int:
        """That the whole training sees."""
        return self.stream.plan.num_steps * self.stream.plan.global_batch_size * self.stream.recipe.sampler.num_clips


def plan_runs(config: BenchmarkConfig, uri: str) -> list[BenchmarkRun]:
    """Seed by seed, so that an early look at the table has all recipes. Raises ValueError for what cannot be run, and
    for a run of that name that was begun with another config or data set."""
    return [
        plan_run(recipe, seed, config.of_seed(recipe, seed, storage=uri))
        for seed in range(config.choice.num_seeds)
        for recipe in config.configs
    ]


def plan_run(recipe: str, seed: int, config: PretrainConfig) -> BenchmarkRun:
    run = settle(config, default_home())
    if record := RunRecord.load(run.uri):
        # As of a run that goes on: one that has ended with this very config is what was asked for.
        record.at("trained").check_resumable(
            run_uri=run.uri, dataset_sha256=run.dataset_sha256, config=flatten(run.config)
        )
    stream = plan_stream(run.config, run.dataset, run.uri)
    check_requirements(run.config, run.dataset, stream)
    return BenchmarkRun(recipe=recipe, seed=seed, run=run, stream=stream)


def train_run(planned: BenchmarkRun, resources: WorkerResources, tags: Mapping[str, str]) -> str | None:
    """Trains to the end. Needs a connected Ray. Returns why the run had to stop before it, or None."""
    run, record = planned.run, RunRecord.load(planned.run.uri)
    if record is not None and record.stage != "training":
        return None
    with leased(run.uri):  # `jobs/pretrain.py` may go on with one of them
        return train_leased_run(planned, resources, tags)


def train_leased_run(planned: BenchmarkRun, resources: WorkerResources, tags: Mapping[str, str]) -> str | None:
    run, record = planned.run, RunRecord.load(planned.run.uri)
    say(f"{run.name}: {planned.stream.plan.num_steps} steps")
    record = begin(run, record, tags)
    try:
        with closing_run_on_failure(run, record):
            watch = CostWatch(uri=run.uri, num_steps=planned.stream.plan.num_steps)
            train(run, record, planned.stream, resources, watches=(watch,))
            log_damage(planned.stream.damage, run, record)
    except RunStoppedError as error:
        say(f"{run.name} stopped: {error}")
        return str(error)
    send_unsent_metrics(run, record)
    runs.end_run(run.tracking_uri, record.mlflow_run_id, "FINISHED")
    record.at("trained").save(run.uri)  # last: a run that is trained is not opened again
    return None
