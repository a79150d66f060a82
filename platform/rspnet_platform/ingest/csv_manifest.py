"""Reads a CSV that lists videos: `path`, and where present `label`, `split`, `source`."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

from rspnet_platform import storage


@dataclass(frozen=True, kw_only=True)
class ManifestRow:
    """One row; empty cells are None. `path` is as written."""

    line_number: int
    path: str
    label: str | None
    split: str | None
    source: str | None


def read_manifest(uri: str) -> list[ManifestRow]:
    """ValueError when it is not UTF-8 text, lacks the column `path`, or has a row without one."""
    try:
        text = storage.read_bytes(uri).decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        columns = list(reader.fieldnames or [])
        if "path" not in columns:
            raise ValueError(f"{uri} has no column 'path'; columns found: {', '.join(columns) or 'none'}")
        return [_manifest_row(row, reader.line_num, uri) for row in reader]
    except UnicodeDecodeError as error:
        raise ValueError(f"{uri} is not UTF-8 text: {error}") from error
    except csv.Error as error:
        raise ValueError(f"{uri} is not a CSV file: {error}") from error


def _manifest_row(row: Mapping[str, str | None], line_number: int, uri: str) -> ManifestRow:
    path = row["path"]
    if not path or not path.strip():
        raise ValueError(f"line {line_number} of {uri} has no path; accepted: a path in every row")
    label, split, source = ((row.get(name) or "").strip() or None for name in ("label", "split", "source"))
    return ManifestRow(line_number=line_number, path=path, label=label, split=split, source=source)
