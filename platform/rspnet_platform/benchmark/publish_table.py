"""The table into the benchmark's folder and into its run in MLflow."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import mean
from typing import Any

from rspnet_platform import storage
from rspnet_platform.benchmark.benchmark_config import BenchmarkConfig
from rspnet_platform.benchmark.benchmark_run import BenchmarkRun
from rspnet_platform.benchmark.encoder_scores import EncoderScores
from rspnet_platform.benchmark.place import Place
from rspnet_platform.benchmark.plot import draw
from rspnet_platform.benchmark.summary import Cost, Row
from rspnet_platform.benchmark.table import Heading, csv_of, markdown
from rspnet_platform.benchmark.training_cost import training_seconds
from rspnet_platform.command_line import say
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.redaction import redact


def costs(trained: Sequence[BenchmarkRun]) -> dict[str, Cost]:
    found = {}
    for recipe in dict.fromkeys(run.recipe for run in trained):
        of_recipe = [run for run in trained if run.recipe == recipe]
        seconds = [known for run in of_recipe if (known := training_seconds(run.run.uri)) is not None]
        found[recipe] = Cost(
            num_steps=of_recipe[0].stream.plan.num_steps,
            num_clips=of_recipe[0].num_clips,
            training_seconds=mean(seconds) if seconds else None,
        )
    return found


def heading(
    config: BenchmarkConfig,
    place: Place,
    trained: Sequence[BenchmarkRun],
    scores: Sequence[EncoderScores],
    stopped: Mapping[str, str],
) -> Heading:
    dataset, training = trained[0].run.dataset, config.first.training
    scaling = config.first.scaling
    return Heading(
        name=place.name,
        dataset=(
            f"{redact(dataset.uri)}, version {dataset.description.version} "
            f"({dataset.description.manifest_sha256[:12]}), {len(trained[0].stream.plan.video_indices)} videos "
            f"to train on"
        ),
        budget=f"Epochs of each run: {training.num_epochs}; workers: {scaling.num_workers}",
        stamps={of.row: of.stamps for of in scores},
        stopped=stopped,
        num_damaged=max(of.num_damaged for of in scores),
    )


def publish(
    config: BenchmarkConfig,
    place: Place,
    parent_id: str,
    trained: Sequence[BenchmarkRun],
    scores: Sequence[EncoderScores],
    rows: Sequence[Row],
    stopped: Mapping[str, str],
) -> dict[str, Any]:
    """The table into the benchmark's folder and into the parent's artifacts, the means into its metrics."""
    table = markdown(rows, heading(config, place, trained, scores, stopped))
    files = {
        "benchmark.md": table.encode(),
        "benchmark.csv": csv_of(scores).encode(),
        "benchmark.png": draw(rows, place.name),
    }
    for name, content in files.items():
        storage.write_bytes(storage.join(place.uri, name), content)
        runs.log_bytes(place.tracking_uri, parent_id, content, name)
    metrics = mean_metrics(rows)
    runs.log_metrics_once(place.tracking_uri, parent_id, config.choice.num_seeds, metrics)
    runs.end_run(place.tracking_uri, parent_id, "FINISHED")
    say(table)
    return {
        "run_id": parent_id,
        "run_name": place.name,
        "num_seeds": config.choice.num_seeds,
        "metrics": metrics,
        "scores": [asdict(of) for of in scores],
        "stopped": dict(stopped),
        "files": [storage.join(place.uri, name) for name in files],
        "storage": place.uri,
        "tracking_uri": redact(place.tracking_uri),
        "dataset": redact(trained[0].run.dataset.uri),
    }


def mean_metrics(rows: Sequence[Row]) -> dict[str, float]:
    """`benchmark/RECIPE/retrieval_top1_mean` and `_std`, as shares."""
    found = {}
    for row in rows:
        name = row.name.replace("(", "").replace(")", "").replace(",", "")
        for (protocol, number), cell in row.cells.items():
            found[f"benchmark/{name}/{protocol}_{number}_mean"] = cell.mean
            if cell.std is not None:
                found[f"benchmark/{name}/{protocol}_{number}_std"] = cell.std
    return found
