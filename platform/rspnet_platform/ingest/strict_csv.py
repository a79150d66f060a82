"""Reads a CSV so that every cell is accounted for: what does not fit is a fault with its line."""

import csv
import difflib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rspnet_platform.ingest.list_faults import ListFaults
from rspnet_platform.ingest.list_text import read_text

_MIN_LIKENESS = 0.75


@dataclass(frozen=True, kw_only=True)
class CsvRow:
    """`place` names line and file; `cells` are as written, by column, without the columns that the CSV lacks."""

    place: str
    cells: Mapping[str, str]

    def value(self, column: str) -> str:
        """Without blanks around it; empty where the cell is, or where there is no such column."""
        return self.cells.get(column, "").strip()


@dataclass(frozen=True, kw_only=True)
class CsvTable:
    """`ignored_columns` are columns whose names are like none of those asked for."""

    rows: Sequence[CsvRow]
    ignored_columns: Sequence[str]


def read_table(uri: str, *, columns: Sequence[str], required: Sequence[str], faults: ListFaults) -> CsvTable:
    """The rows that have as many cells as the header; blank lines are nothing. Capitals and blanks in the header's
    names do not matter; where it has blanks after its commas, those of the rows do not count either.

    ValueError when the file is missing or not UTF-8; all else is added to `faults`.
    """
    text = read_text(uri)
    _, header = next(_records(uri, text, ListFaults()), (1, []))
    is_padded = any(name.startswith(" ") for name in header)
    records = _records(uri, text, faults, skip_spaces=is_padded)
    header_line, header = next(records, (1, []))
    names = [name.strip() for name in header]
    places, ignored = _find_columns(names, f"line {header_line} of {uri}", columns, faults)
    if missing := [name for name in required if name not in places]:
        faults.add(
            f"{uri} has no column {', '.join(map(repr, missing))}; columns found: {', '.join(names) or 'none'};"
            f" accepted: {', '.join(columns)}"
        )
    rows = []
    for line_number, cells in records:
        place = f"line {line_number} of {uri}"
        if _is_whole(cells, names, place, faults):
            rows.append(CsvRow(place=place, cells={name: cells[index] for name, index in places.items()}))
    return CsvTable(rows=rows, ignored_columns=ignored)


def _records(uri: str, text: str, faults: ListFaults, *, skip_spaces: bool = False) -> Iterator[tuple[int, list[str]]]:
    """(number of the first line, cells) of each record that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=skip_spaces)
    while True:
        line_number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            faults.add(f"line {line_number} of {uri} is not CSV: {error}; accepted: cells with quotes in pairs")
            continue
        if any(cell.strip() for cell in cells):
            yield line_number, cells


def _find_columns(
    names: Sequence[str], place: str, columns: Sequence[str], faults: ListFaults
) -> tuple[dict[str, int], list[str]]:
    """({column: its index}, what is no column)."""
    places: dict[str, int] = {}
    unknown = []
    for index, name in enumerate(names):
        if name.casefold() not in columns:
            unknown += [name] if name else []
        elif places.setdefault(name.casefold(), index) != index:
            faults.add(f"{place} has the column {name.casefold()!r} twice; accepted: each column once")
    absent = [column for column in columns if column not in places]
    ignored = []
    for name in unknown:
        if meant := difflib.get_close_matches(name.casefold(), absent, 1, _MIN_LIKENESS):
            faults.add(f"{place} has the column {name!r}: is {meant[0]!r} meant? accepted: {', '.join(columns)}")
        else:
            ignored.append(name)
    return places, ignored


def _is_whole(cells: Sequence[str], names: Sequence[str], place: str, faults: ListFaults) -> bool:
    if len(cells) != len(names):
        faults.add(
            f"{place} has {len(cells)} cells ({', '.join(map(repr, cells))}), the header has {len(names)}"
            f" ({', '.join(names)}); accepted: as many, with quotes around a cell that holds a comma"
        )
        return False
    for cell, name in zip(cells, names, strict=True):
        if cell.strip() and not name:
            faults.add(f"{place} has the cell {cell!r} in a column without a name; accepted: a name in the header")
            return False
    return True
