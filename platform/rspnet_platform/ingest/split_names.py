"""How the names of splits are read: `Test`, `TEST` and ` test` are one split."""

import difflib

from rspnet_platform.ingest.list_faults import ListFaults

_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validate": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
ACCEPTED_SPLITS = "train, val (or validation), test, in capitals or not"
_MIN_LIKENESS = 0.8


def common_split(name: str) -> str | None:
    """train, val or test, where `name` is one of their spellings."""
    return _SPLITS.get(name.strip().casefold())


def read_split(cell: str, place: str, faults: ListFaults) -> str | None:
    """None for an empty cell. Names of one's own stay as they are, but for what looks like a misspelt common one."""
    name = cell.strip()
    if not name:
        return None
    if (split := common_split(name)) is not None:
        return split
    if (meant := _misspelt(name.casefold())) is not None:
        faults.add(
            f"{place} has split {name!r}: is {meant!r} meant? accepted: {ACCEPTED_SPLITS}, or a name unlike these"
        )
    return name


def _misspelt(name: str) -> str | None:
    """train1 and trainval are names of their own; trian and tests are not."""
    if not name.isalpha():
        return None
    for known in _SPLITS:
        likeness = difflib.SequenceMatcher(None, name, known).ratio()
        if abs(len(name) - len(known)) <= 1 and (sorted(name) == sorted(known) or likeness >= _MIN_LIKENESS):
            return known
    return None
