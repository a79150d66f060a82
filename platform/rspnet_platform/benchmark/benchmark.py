"""The main walk of a benchmark: every recipe with every seed under one budget, then every encoder by every protocol,
then one table."""

from collections.abc import Mapping, Sequence
from typing import Any

from rspnet_platform import runtime, storage
from rspnet_platform.benchmark.benchmark_config import BenchmarkConfig
from rspnet_platform.benchmark.benchmark_run import BenchmarkRun, plan_runs, train_run
from rspnet_platform.benchmark.encoder_scores import EncoderScores, score_all
from rspnet_platform.benchmark.place import Place, find_place
from rspnet_platform.benchmark.publish_table import costs, publish
from rspnet_platform.benchmark.questions import Candidate, candidates, kind_of, question_of
from rspnet_platform.benchmark.summary import summarise
from rspnet_platform.command_line import UserError, say
from rspnet_platform.config import flatten
from rspnet_platform.lease import leased
from rspnet_platform.parent_run import PARENT_TAG, begin_parent
from rspnet_platform.run import closing_on_failure
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.client import check_reachable
from rspnet_platform.train.launch import plan_resources
from rspnet_platform.train.requirements import check_batch_norm
from rspnet_platform.train.run_record import RunRecord

PARENT_RECORD = "benchmark.json"


def benchmark(config: BenchmarkConfig) -> dict[str, Any]:
    """Pretrains and evaluates; the same command again, with more seeds and recipes too, goes on where it was. Returns
    what the job prints."""
    place = find_place(config)
    planned = plan_runs(config, place.uri)
    for recipe in config.configs:  # before hours of training
        question_of(config, next(run for run in planned if run.recipe == recipe), {})
    check_reachable(place.tracking_uri)
    with leased(place.uri):
        return walk(config, place, planned)


def walk(config: BenchmarkConfig, place: Place, planned: Sequence[BenchmarkRun]) -> dict[str, Any]:
    """Of a benchmark that was found to be possible, and that nobody else is at work on."""
    parent_id = begin(config, place, planned)
    with closing_on_failure(place.tracking_uri, parent_id):
        stopped = train_all(planned, {PARENT_TAG: parent_id, "job": "benchmark"})
        trained = [run for run in planned if run.run.name not in stopped]
        if not trained:
            raise UserError(f"all runs stopped before their end: {stopped}")
        asked = candidates(trained, config.choice.num_seeds)
        scores = score_all(config, asked, place.uri)
        for candidate, found in zip(asked, scores, strict=True):
            log_numbers(candidate, found)
        rows = summarise(scores, {run.recipe: kind_of(run).label for run in trained}, costs(trained))
        return publish(config, place, parent_id, trained, scores, rows, stopped)


def begin(config: BenchmarkConfig, place: Place, planned: Sequence[BenchmarkRun]) -> str:
    shared, dataset = config.first, planned[0].run.dataset
    return begin_parent(
        storage.join(place.uri, PARENT_RECORD),
        tracking_uri=place.tracking_uri,
        experiment=shared.tracking.experiment,
        name=place.name,
        params={
            **flatten(config.choice),
            "data.shards": dataset.uri,
            "data.version": dataset.description.version,
            "training.num_epochs": shared.training.num_epochs,
        },
        tags={"job": "benchmark", "dataset_sha256": dataset.description.manifest_sha256, "storage": place.uri},
    )


def train_all(planned: Sequence[BenchmarkRun], tags: Mapping[str, str]) -> dict[str, str]:
    """On one Ray, one run after the other, each on all workers that it was given. Returns why runs stopped, by their
    names: the others go on."""
    runtime.connect()
    try:
        stopped = {}
        for run in planned:
            resources, budget = plan_resources(run.run.config)
            check_batch_norm(run.run.config, use_gpu=resources.use_gpu, max_workers=resources.max_workers)
            if run is planned[0]:
                say(f"{len(planned)} runs, one after the other; the cluster's share of each:\n{budget.table()}")
            if (reason := train_run(run, resources, tags)) is not None:
                stopped[run.run.name] = reason
        return stopped
    finally:
        runtime.disconnect()


def log_numbers(candidate: Candidate, found: EncoderScores) -> None:
    """Into the encoder's own run in MLflow, where it has one."""
    if candidate.planned is None:
        return
    run, record = candidate.planned.run, RunRecord.load(candidate.planned.run.uri)
    assert record is not None
    metrics = {
        f"benchmark/{protocol}_{name}": value
        for protocol, numbers in found.numbers.items()
        for name, value in numbers.items()
    }
    runs.log_metrics_once(run.tracking_uri, record.mlflow_run_id, candidate.planned.stream.plan.num_steps, metrics)
    runs.set_tags(run.tracking_uri, record.mlflow_run_id, {f"protocol.{of}": text for of, text in found.stamps.items()})
    runs.end_run(run.tracking_uri, record.mlflow_run_id, "FINISHED")  # it may have been killed before
