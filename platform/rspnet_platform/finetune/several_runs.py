"""The main walk of fine-tuning: a run for each seed on each data set, one by one, and their mean and spread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev
from typing import Any

from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_platform import runtime, storage
from rspnet_platform.command_line import say
from rspnet_platform.config import flatten
from rspnet_platform.finetune.classifier_publishing import register_classifier
from rspnet_platform.finetune.finetune_config import FinetuneConfig
from rspnet_platform.finetune.initial_encoder import (
    InitialEncoder,
    check_fits,
    find_initial_encoder,
    keep_initial_encoder,
)
from rspnet_platform.finetune.one_run import finish_run, finished_result
from rspnet_platform.finetune.recognition_run import RecognitionRun, plan_run
from rspnet_platform.finetune.recognition_videos import recognition_videos
from rspnet_platform.home import default_home
from rspnet_platform.lease import leased
from rspnet_platform.parent_run import PARENT_TAG, begin_parent
from rspnet_platform.run import closing_on_failure, generated_name, settle
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.client import check_reachable
from rspnet_platform.tracking.redaction import redact
from rspnet_platform.tracking.tracking_config import resolve_tracking_uri
from rspnet_platform.train.launch import plan_resources
from rspnet_platform.train.requirements import check_batch_norm
from rspnet_platform.train.run_record import RECORD
from rspnet_platform.visualise.recorded_run import keep_recipe

PARENT_RECORD = "finetune.json"
TOP1, CONSTANT_TOP1 = "finetune/test_top1", "finetune/test_top1_of_most_frequent_class"
AVERAGED = (
    TOP1,
    CONSTANT_TOP1,
    "finetune/test_top5",
    "finetune/test_mean_class_accuracy",
    "finetune/validation_top1",
)


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """All runs of one name. `config` names it and where it lies."""

    config: FinetuneConfig
    uri: str
    tracking_uri: str

    @property
    def name(self) -> str:
        assert self.config.run.name is not None
        return self.config.run.name


def finetune(config: FinetuneConfig, recipe: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Fine-tunes and tests; the same campaign again, with more seeds too, goes on where it was. Returns what the job
    prints. `recipe`: its own values by dotted keys, for the reports to say what differs."""
    campaign = name_campaign(config)
    initial, network = find_initial_encoder(config, campaign.uri, campaign.tracking_uri)
    check_fits(config, initial)
    planned = [plan_part(campaign, part, initial) for part in parts(campaign)]
    for run in planned:
        finished_result(run)  # refuses what does not go on, before anything is written
    check_reachable(campaign.tracking_uri)
    with leased(campaign.uri):
        return walk(campaign, initial, network, planned, recipe)


def walk(
    campaign: Campaign,
    initial: InitialEncoder,
    network: VideoEncoder | None,
    planned: Sequence[RecognitionRun],
    recipe: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Of a campaign that was found to be possible, and that nobody else is at work on."""
    results = [finished_result(run) for run in planned]
    if network is not None:
        keep_initial_encoder(initial, network, campaign.uri)
    if recipe is not None:
        for run in planned:
            keep_recipe(run.run.uri, recipe)
    parent_id = begin(campaign, initial)
    with closing_on_failure(campaign.tracking_uri, parent_id):
        if None in results:
            tags = {PARENT_TAG: parent_id, "model": initial.reference, "model_sha256": initial.sha256}
            results = finish_all(planned, results, tags)
        done = [result for result in results if result is not None]
        registered = register_classifier(campaign.uri, planned, done, initial.reference)
        return finish_parent(campaign, initial, parent_id, done, registered)


def name_campaign(config: FinetuneConfig) -> Campaign:
    """Raises ValueError for a name that a run of another kind has."""
    home = default_home()
    name = config.run.name or generated_name(config.recipe)
    storage_uri = storage.resolve_uri(config.run.storage or str(home / "runs"))
    uri = storage.join(storage_uri, name)
    if storage.exists(storage.join(uri, RECORD)):
        raise ValueError(f"{uri} is a pretraining run; accepted is another --run.name, or another --run.storage")
    return Campaign(
        config=replace(config, run=replace(config.run, name=name, storage=storage_uri)),
        uri=uri,
        tracking_uri=resolve_tracking_uri(config.tracking, home),
    )


def parts(campaign: Campaign) -> list[FinetuneConfig]:
    """A run's config for each split and seed. It says nothing of the others, so that more may be added later."""
    config = campaign.config
    return [
        replace(
            config,
            seeds=(),
            more_splits=(),
            training=replace(config.training, seed=seed),
            data=replace(config.data, shards=shards),
            run=replace(config.run, name=f"{campaign.name}-split-{number}-seed-{seed}", storage=campaign.uri),
        )
        for number, shards in enumerate((config.data.shards, *config.more_splits), start=1)
        for seed in config.all_seeds
    ]


def plan_part(campaign: Campaign, config: FinetuneConfig, initial: InitialEncoder) -> RecognitionRun:
    """Raises ValueError for what cannot be run."""
    run = settle(config, default_home())
    videos = recognition_videos(
        run.dataset,
        train_split=config.data.split,
        test_split=config.test.split,
        validation_fraction=config.validation.fraction,
        seed=config.training.seed,
    )
    num_classes = len(videos.class_names)
    if config.task.num_classes not in (None, num_classes):
        raise ValueError(
            f"task.num_classes is {config.task.num_classes}, and {config.data.split} of {run.dataset.uri} has "
            f"{num_classes} classes; accepted are {num_classes}, and none, which counts them"
        )
    settled = replace(run.config, task=replace(config.task, num_classes=num_classes))
    return plan_run(replace(run, config=settled), videos, initial.weights_uri(campaign.uri))


def begin(campaign: Campaign, initial: InitialEncoder) -> str:
    """The run in MLflow that holds the others."""
    return begin_parent(
        storage.join(campaign.uri, PARENT_RECORD),
        tracking_uri=campaign.tracking_uri,
        experiment=campaign.config.tracking.experiment,
        name=campaign.name,
        params=flatten(campaign.config),
        tags={"model": initial.reference, "model_sha256": initial.sha256, "storage": campaign.uri},
    )


def finish_all(
    planned: Sequence[RecognitionRun], results: Sequence[dict[str, Any] | None], tags: dict[str, str]
) -> list[dict[str, Any] | None]:
    """On one Ray, one run after the other; those with a result are left alone."""
    runtime.connect()
    try:
        config = planned[0].run.config
        resources, budget = plan_resources(config)
        check_batch_norm(config, use_gpu=resources.use_gpu, max_workers=resources.max_workers)
        say(f"the cluster's share of each run:\n{budget.table()}")
        return [result or finish_run(run, resources, tags) for run, result in zip(planned, results, strict=True)]
    finally:
        runtime.disconnect()


def finish_parent(
    campaign: Campaign,
    initial: InitialEncoder,
    parent_id: str,
    results: Sequence[dict[str, Any]],
    registered: Mapping[str, str],
) -> dict[str, Any]:
    metrics = mean_and_deviation(results)
    runs.log_metrics_once(campaign.tracking_uri, parent_id, len(results), metrics)
    runs.set_tags(campaign.tracking_uri, parent_id, {"protocol": results[0]["protocol"]})
    runs.end_run(campaign.tracking_uri, parent_id, "FINISHED")
    say(f"{campaign.name}: {in_a_line(metrics, num_runs=len(results))}")
    return {
        "run_id": parent_id,
        "run_name": campaign.name,
        "model": initial.reference,
        "model_sha256": initial.sha256,
        "metrics": metrics,
        "protocol": results[0]["protocol"],
        "model_uri": registered["model_uri"],
        "model_alias": registered["model_alias"],
        "runs": list(results),
        "storage": campaign.uri,
        "tracking_uri": redact(campaign.tracking_uri),
    }


def in_a_line(metrics: Mapping[str, float], *, num_runs: int) -> str:
    """The accuracy beside that of a constant answer."""
    spread = f" +- {metrics[f'{TOP1}_std']:.1%}" if f"{TOP1}_std" in metrics else ""
    constant = metrics[f"{CONSTANT_TOP1}_mean"]
    return (
        f"{TOP1} {metrics[f'{TOP1}_mean']:.1%}{spread} over {num_runs} runs; always the most frequent class "
        f"{constant:.1%} (and --model random:ENCODER says what pretraining adds)"
    )


def mean_and_deviation(results: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Over the runs, and with two or more the sample's standard deviation (n - 1)."""
    summary: dict[str, float] = {}
    for name in AVERAGED:
        values = [result["metrics"][name] for result in results if name in result["metrics"]]
        if len(values) == len(results):
            summary[f"{name}_mean"] = mean(values)
            if len(values) > 1:
                summary[f"{name}_std"] = stdev(values)
    return summary
