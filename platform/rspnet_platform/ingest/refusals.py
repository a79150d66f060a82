"""The refused videos of an ingest, and the table of them that it leaves."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from rspnet_platform import storage
from rspnet_platform.shards.description import REFUSALS_NAME, versioned_name
from rspnet_platform.videos.refusal_reasons import RefusalReason

REFUSALS_SCHEMA = pa.schema([("path", pa.string()), ("reason", pa.string()), ("detail", pa.string())])


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One refused video: its path as the source names it, the reason, and what exactly was found."""

    path: str
    reason: RefusalReason
    detail: str


def count_by_reason(refusals: Iterable[Refusal]) -> dict[str, int]:
    """{reason: count}, the most frequent first."""
    return {str(reason): count for reason, count in Counter(r.reason for r in refusals).most_common()}


def write_refusals(folder_uri: str, refusals: Sequence[Refusal], version: int = 1) -> str:
    """Writes `refusals.parquet`, or that of a later version, also when there are none; returns its URI."""
    table = pa.Table.from_pylist(
        [{"path": r.path, "reason": str(r.reason), "detail": r.detail} for r in refusals], REFUSALS_SCHEMA
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    uri = storage.join(folder_uri, versioned_name(REFUSALS_NAME, version))
    storage.write_bytes(uri, sink.getvalue().to_pybytes())
    return uri
