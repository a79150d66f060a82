"""The data set of a run, for those who look at its report: classes by split, and what the ingest refused."""

from markupsafe import Markup

from rspnet_platform.ingest.audit.class_balance import class_balance
from rspnet_platform.ingest.audit.dataset_numbers import group_refusals
from rspnet_platform.ingest.refusals import Refusal
from rspnet_platform.shards.dataset import ShardedDataset, read_refusals
from rspnet_platform.videos.refusal_reasons import RefusalReason
from rspnet_platform.visualise.page_shell import render_fragment

MAX_CLASSES_SHOWN = 60


def render_dataset(dataset: ShardedDataset) -> Markup:
    """The largest classes where there are more than MAX_CLASSES_SHOWN. StorageError where the store fails."""
    videos, description = dataset.videos, dataset.description
    rows = read_refusals(dataset.uri, description.version)
    refusals = [Refusal(**row | {"reason": RefusalReason(row["reason"])}) for row in rows]
    return render_fragment(
        "dataset.html.jinja",
        "rspnet_platform.report",
        description=description,
        balance=class_balance(videos["label"].to_pylist(), videos["split"].to_pylist()),
        max_classes=MAX_CLASSES_SHOWN,
        refused=group_refusals(refusals),
    )
