"""The report of a run that has been, made again out of its folder: a part of `jobs/visualize.py`."""

from typing import Any

from rspnet_platform import storage
from rspnet_platform.command_line import say
from rspnet_platform.report.evaluated_run import evaluate_again
from rspnet_platform.report.finetuning_report import report_finetuning
from rspnet_platform.report.pretraining_report import ReportSources, report_pretraining
from rspnet_platform.run import open_dataset_of_run
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.tracking.redaction import redact
from rspnet_platform.tracking.run_history import RunHistory, read_run_history
from rspnet_platform.visualise.part_configs import ReportConfig
from rspnet_platform.visualise.recorded_run import RecordedRun, read_recorded_run

PAGE_NAME = "report.html"


def draw_report(config: ReportConfig) -> dict[str, Any]:
    """Writes the page and returns what is not on it. Raises ValueError for a folder that is no run's."""
    run = read_recorded_run(config.run, config.tracking)
    output = storage.resolve_uri(config.output or run.uri)

    def dataset() -> ShardedDataset:
        return dataset_of(run)

    def history() -> RunHistory:
        return read_run_history(run.tracking_uri, run.mlflow_run_id)

    if run.is_finetuning:
        report = report_finetuning(run, dataset, history)
    else:
        report = report_pretraining(
            ReportSources(
                run=run,
                dataset=dataset,
                history=history,
                evaluated=lambda opened: evaluate_again(run, opened, config.tracking, output=output, seed=config.seed),
                seed=config.seed,
            )
        )
    uri = storage.join(output, PAGE_NAME)
    storage.write_bytes(uri, report.html.encode())
    say(f"look at it: {uri}")
    return {
        "part": "report",
        "run": redact(run.uri),
        "output": output,
        "files": [PAGE_NAME],
        "num_bytes": len(report.html.encode()),
        "parts_left_out": list(report.left_out),
    }


def dataset_of(run: RecordedRun) -> ShardedDataset:
    """The version that the run was trained on. Raises ValueError where it is gone."""
    dataset = open_dataset_of_run(run.config["data.shards"], None, run.uri)
    if dataset.description.manifest_sha256 != run.record.dataset_sha256:
        raise ValueError(
            f"{redact(dataset.uri)} holds another data set ({dataset.description.manifest_sha256[:12]}) than the run "
            f"was trained on ({run.record.dataset_sha256[:12]})"
        )
    return dataset
