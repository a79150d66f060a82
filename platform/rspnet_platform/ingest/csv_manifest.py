"""Reads a CSV that lists videos: `path`, and where present `label`, `split`, `source`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rspnet_platform.ingest.list_faults import ListFaults
from rspnet_platform.ingest.split_names import read_split
from rspnet_platform.ingest.strict_csv import read_table

COLUMNS = ("path", "label", "split", "source")
_MAX_NAMES = 5


@dataclass(frozen=True, kw_only=True)
class ManifestRow:
    """One row; empty cells are None. `place` names line and file, `path` is as written."""

    place: str
    path: str
    label: str | None
    split: str | None
    source: str | None


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """`notes` say what of the CSV was not taken, or may not be what was meant."""

    rows: Sequence[ManifestRow]
    notes: Sequence[str]


def read_manifest(uri: str, faults: ListFaults) -> Manifest:
    """ValueError when it is missing or not UTF-8; all else that is wrong is added to `faults`."""
    table = read_table(uri, columns=COLUMNS, required=COLUMNS[:1], faults=faults)
    rows = []
    for row in table.rows:
        split = read_split(row.value("split"), row.place, faults)
        if "path" in row.cells and not row.value("path"):
            faults.add(f"{row.place} has no path; accepted: a path in every row")
            continue
        rows.append(
            ManifestRow(
                place=row.place,
                path=row.cells.get("path", ""),
                label=row.value("label") or None,
                split=split,
                source=row.value("source") or None,
            )
        )
    _check_splits(rows, faults)
    return Manifest(rows=rows, notes=[*_about_columns(uri, table.ignored_columns), *_about_labels(rows)])


def _check_splits(rows: Iterable[ManifestRow], faults: ListFaults) -> None:
    first_by_name: dict[str, ManifestRow] = {}
    for row in rows:
        first = first_by_name.setdefault((row.split or "").casefold(), row)
        if first.split != row.split:
            faults.add(
                f"{row.place} has split {row.split!r}, {first.place} has {first.split!r}; accepted: one spelling"
            )


def _about_columns(uri: str, ignored: Sequence[str]) -> list[str]:
    if not ignored:
        return []
    word = "column is" if len(ignored) == 1 else "columns are"
    return [f"{len(ignored)} {word} not read: {', '.join(ignored)}; read are {', '.join(COLUMNS)} ({uri})"]


def _about_labels(rows: Iterable[ManifestRow]) -> list[str]:
    spellings: dict[str, set[str]] = {}
    for label in {row.label for row in rows} - {None}:
        assert label is not None
        spellings.setdefault(label.casefold(), set()).add(label)
    alike = sorted(repr(sorted(labels)) for labels in spellings.values() if len(labels) > 1)
    shown = ", ".join(alike[:_MAX_NAMES]) + (", ..." if len(alike) > _MAX_NAMES else "")
    return [f"labels that differ in capitals alone are different classes: {shown}"] if alike else []
