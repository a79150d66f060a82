"""The report at the end of a run: made, logged with the run, and never the reason why a run fails."""

import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_platform import storage
from rspnet_platform.command_line import say
from rspnet_platform.config import PretrainConfig
from rspnet_platform.inference.dataset_features import embed_dataset
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.inference.retrieval_evaluation import encoders_beside_random
from rspnet_platform.inference.run_evaluation import Evaluation
from rspnet_platform.report.draw_report import PAGE_NAME
from rspnet_platform.report.evaluated_run import EvaluatedRun, shown_videos
from rspnet_platform.report.finetuning_report import report_finetuning
from rspnet_platform.report.page_parts import Report
from rspnet_platform.report.pretraining_report import ReportSources, report_pretraining
from rspnet_platform.run import Run
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.redaction import redact
from rspnet_platform.tracking.run_history import artifact_address, read_run_history
from rspnet_platform.train.run_record import RunRecord
from rspnet_platform.visualise.frozen_features import FrozenFeatures
from rspnet_platform.visualise.recorded_run import RecordedRun, recorded_run

SEED = 0
"""Of what is drawn to be shown: two runs on one data set show the same queries."""


def report_at_end(
    run: Run[PretrainConfig],
    record: RunRecord,
    encoder: VideoEncoder,
    encoder_input: EncoderInput,
    evaluation: Evaluation,
    *,
    damage: DamageLedger,
    use_gpu: bool,
) -> dict[str, Any]:
    """For what the job prints: `report`, where it is or None, and `report_parts_left_out`, with reasons. What the
    evaluation has computed is not computed again. Needs a connected Ray where it has computed nothing."""

    def evaluated(dataset: ShardedDataset) -> EvaluatedRun:
        features, num_wanted = evaluation.features, len(dataset.videos)
        if evaluation.labelled is not None:
            num_wanted = len(evaluation.labelled.video_indices)
        if features is None:
            wanted = shown_videos(dataset, None, SEED)
            num_wanted = len(wanted)
            features = embed_dataset(
                dataset,
                wanted,
                encoders_beside_random(encoder, run.config.task.encoder, 1),
                encoder_input,
                damage=damage,
                cpus_per_decode_task=run.config.scaling.cpus_per_decode_task,
                use_gpu=use_gpu,
                decoder=run.config.data.decoder,
            )
        protocol = run.config.evaluation.retrieval_protocol
        frozen = FrozenFeatures(
            features=features,
            model=run.name,
            protocol=protocol,
            stamp=f"{protocol.name}: {protocol.stamp}; frame stride {encoder_input.frame_stride}",
            num_damaged=num_wanted - len(features.video_indices),
        )
        return EvaluatedRun(frozen=frozen, labelled=evaluation.labelled, results=evaluation.results)

    def make(recorded: RecordedRun) -> Report:
        return report_pretraining(
            ReportSources(
                run=recorded,
                dataset=lambda: run.dataset,
                history=partial(read_run_history, run.tracking_uri, record.mlflow_run_id),
                evaluated=evaluated,
                seed=SEED,
            )
        )

    return made_and_logged(run, record, make)


def finetuning_report_at_end(run: Run[Any], record: RunRecord) -> dict[str, Any]:
    """As `report_at_end` returns it, of a run whose numbers are in its folder and in MLflow."""
    history = partial(read_run_history, run.tracking_uri, record.mlflow_run_id)
    return made_and_logged(run, record, lambda recorded: report_finetuning(recorded, lambda: run.dataset, history))


def made_and_logged(run: Run[Any], record: RunRecord, make: Callable[[RecordedRun], Report]) -> dict[str, Any]:
    try:
        report = make(recorded_run(run.uri, record, run.tracking_uri))
        address = keep_page(run, record, report.html)
        return {"report": address, "report_parts_left_out": list(report.left_out)}
    except Exception as error:  # the run is finished and registered: nothing of it depends on its pictures
        say(f"the report could not be made; the run is complete all the same:\n{traceback.format_exc()}")
        reason = f"making it failed ({type(error).__name__}: {error})"
        return {"report": None, "report_parts_left_out": [{"part": "report", "reason": reason}]}


def keep_page(run: Run[Any], record: RunRecord, html: str) -> str:
    """Among the run's artifacts, or in its folder where MLflow does not take it; returns where."""
    try:
        runs.log_text(run.tracking_uri, record.mlflow_run_id, html, PAGE_NAME)
        return artifact_address(run.tracking_uri, record.mlflow_run_id, PAGE_NAME)
    except Exception as error:  # whatever is wrong with the server
        uri = storage.join(run.uri, PAGE_NAME)
        storage.write_bytes(uri, html.encode())
        say(f"the report is in {redact(uri)} alone: MLflow did not take it ({redact(str(error))})")
        return redact(uri)
