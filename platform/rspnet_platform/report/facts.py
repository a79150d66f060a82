"""What stands above a report: which run, on which data, with which outcome."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from rspnet_platform.ingest.audit.formats import format_seconds
from rspnet_platform.report.verdict import Verdict
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.tracking.redaction import redact
from rspnet_platform.tracking.run_history import RunHistory
from rspnet_platform.visualise.page_shell import render_fragment
from rspnet_platform.visualise.recorded_run import RecordedRun

NOT_KNOWN = "not known"
Rows = Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Rows of (name, value)."""

    chips: Sequence[str]
    verdict: Verdict
    run: Rows
    data: Rows


def facts_of(run: RecordedRun, dataset: ShardedDataset | None, history: RunHistory | None, verdict: Verdict) -> Facts:
    """Without a tracking server what it alone knows is not known."""
    config = run.config
    encoder = str(config.get("task.encoder", NOT_KNOWN))
    return Facts(
        chips=[
            f"recipe {config.get('recipe', NOT_KNOWN)}",
            f"method {run.method or NOT_KNOWN}",
            f"encoder {encoder}",
            f"seed {config.get('training.seed', NOT_KNOWN)}",
            f"{status_of(run, history)}",
        ],
        verdict=verdict,
        run=run_rows(run, history),
        data=data_rows(run, dataset, history),
    )


def run_rows(run: RecordedRun, history: RunHistory | None) -> Rows:
    config = run.config
    return [
        ("recipe, method", f"{config.get('recipe', NOT_KNOWN)}, {run.method or NOT_KNOWN}"),
        ("encoder", str(config.get("task.encoder", NOT_KNOWN))),
        ("seed", str(config.get("training.seed", NOT_KNOWN))),
        ("steps", steps_in_words(run, history)),
        ("status", status_of(run, history)),
        (
            "begun",
            NOT_KNOWN
            if history is None
            else f"{datetime.fromtimestamp(history.began_seconds, UTC):%Y-%m-%d %H:%M} UTC",
        ),
        ("from begin to end", duration_in_words(history)),
        ("resumed", resumes_in_words(run.record.num_resumes)),
        ("code", NOT_KNOWN if history is None else history.tags.get("code_commit", NOT_KNOWN)),
        ("MLflow run", run.mlflow_run_id),
        ("folder", redact(run.uri)),
    ]


def resumes_in_words(num_resumes: int | None) -> str:
    if num_resumes is None:
        return NOT_KNOWN
    return {0: "never", 1: "once"}.get(num_resumes, f"{num_resumes} times")


def data_rows(run: RecordedRun, dataset: ShardedDataset | None, history: RunHistory | None) -> Rows:
    damaged = None if history is None else history.curves.get("data/num_damaged_videos")
    num_damaged = NOT_KNOWN if damaged is None else f"{damaged.values[-1]:,.0f}"
    if dataset is None:
        uri = redact(str(run.config.get("data.shards", NOT_KNOWN)))
        return [("data set", uri), ("identity", run.record.dataset_sha256), ("damaged", num_damaged)]
    description = dataset.description
    splits = ", ".join(f"{name} {count:,}" for name, count in sorted(description.splits.items()))
    return [
        ("data set", dataset.uri.rsplit("/", 1)[-1]),
        ("version", str(description.version)),
        ("identity", description.manifest_sha256),
        ("videos", f"{description.num_videos:,} of {description.num_frames:,} frames"),
        ("classes", f"{len(description.class_names):,}" if description.class_names else "no labels"),
        ("splits", splits or "none"),
        ("refused at ingest", f"{description.num_refused:,}"),
        ("damaged since", num_damaged),
        ("profile", f"{description.profile}, short side {description.short_side} px"),
        ("folder", redact(dataset.uri)),
    ]


def status_of(run: RecordedRun, history: RunHistory | None) -> str:
    return f"{run.record.stage} (MLflow not asked)" if history is None else history.status.lower()


def steps_in_words(run: RecordedRun, history: RunHistory | None) -> str:
    steps = [] if history is None else [int(curve.steps[-1]) for curve in history.curves.values() if len(curve.steps)]
    num_epochs, batch = (run.config.get(f"training.{name}") for name in ("num_epochs", "global_batch_size"))
    trained = f"{max(steps):,}" if steps else NOT_KNOWN
    return f"{trained}, of {batch} videos each; {num_epochs} epochs"


def duration_in_words(history: RunHistory | None) -> str:
    """By the clock: what lay between a crash and going on is part of it."""
    if history is None or history.ended_seconds is None:
        return NOT_KNOWN if history is None else "not ended"
    return format_seconds(round(history.ended_seconds - history.began_seconds))


def render_header(facts: Facts) -> Markup:
    return render_fragment("header.html.jinja", "rspnet_platform.report", facts=facts)
