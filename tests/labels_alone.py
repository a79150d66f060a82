"""Data sets of which evaluation sees labels, splits and sources alone."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
from rspnet_platform.inference.retrieval_evaluation import LabelledVideos


def dataset_of(
    labels: Sequence[str | None], splits: Sequence[str | None], sources: Sequence[str | None] | None = None
) -> Any:
    """The videos `00`, `01`, ... of `/data/set`."""
    columns = {"label": labels, "split": splits, "source": sources or [None] * len(labels)}
    table = pa.table(
        {
            "video_index": range(len(labels)),
            "video_id": [f"{index:02d}" for index in range(len(labels))],
            **{name: pa.array(values, pa.string()) for name, values in columns.items()},
        }
    )
    names = {name: splits.count(name) for name in splits if name is not None}
    return SimpleNamespace(uri="/data/set", videos=table, description=SimpleNamespace(splits=names))


def labelled_by(labels: str, splits: Sequence[str | None]) -> LabelledVideos:
    """One letter a label."""
    found = LabelledVideos.from_dataset(dataset_of(list(labels), splits))
    assert found is not None
    return found
