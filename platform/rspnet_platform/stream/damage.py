"""Damaged rows met while training: counted and listed with the run, never replaced by another video."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from rspnet_platform import storage

NUM_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class DamageLedger:
    """A folder with a small file a damaged video: any decode worker on any node enters one, and it survives them."""

    uri: str

    def enter(self, video_index: int, *, epoch: int, error: str) -> None:
        """The same video again, in another epoch or by a task that is run again, is still one entry."""
        entry = {"video_index": video_index, "epoch": epoch, "error": error}
        storage.write_json(storage.join(self.uri, f"{video_index}.json"), entry)

    def entries(self) -> list[dict[str, Any]]:
        """Each damaged video once, by index, with the last epoch that it was met in."""
        entries = [storage.read_json(storage.join(self.uri, name)) for name in self._names()]
        return sorted(entries, key=lambda entry: entry["video_index"])

    def count(self) -> int:
        """One listing of the folder."""
        return len(self._names())

    def _names(self) -> list[str]:
        # A worker that is killed while it writes leaves a temporary file behind.
        return [name for name in storage.list_names(self.uri) if not name.startswith(".")]


@dataclass(frozen=True, kw_only=True)
class DamageBudget:
    """How many of the videos to train on may be damaged before the run stops: `max_damaged_fraction` of them, rounded
    up, so that a small data set may miss one, and 0 allows none."""

    ledger: DamageLedger
    num_videos: int
    max_damaged_fraction: float

    @property
    def num_allowed(self) -> int:
        return math.ceil(round(self.max_damaged_fraction * self.num_videos, 6))

    def excess(self, num_damaged: int) -> str | None:
        """In one sentence; None within the budget."""
        if num_damaged <= self.num_allowed:
            return None
        return (
            f"{num_damaged} of the {self.num_videos} videos to train on are damaged, and"
            f" --data.max-damaged-fraction {self.max_damaged_fraction:g} allows {self.num_allowed}"
        )

    def complaint(self, videos: pa.Table) -> str | None:
        """All that helps to mend it: which videos, what is wrong with them, where the list is. None within the budget.

        `videos` is the data set's table.
        """
        if (excess := self.excess(self.ledger.count())) is None:
            return None
        entries = with_video_ids(self.ledger.entries(), videos)
        shown = [f"  {entry['video_id']}: {entry['error']}" for entry in entries[:NUM_SHOWN]]
        if len(entries) > NUM_SHOWN:
            shown.append(f"  and {len(entries) - NUM_SHOWN} more")
        return "\n".join(
            [
                f"{excess}:",
                *shown,
                f"all are listed in {self.ledger.uri}; once they are mended (and no longer listed there), or with a"
                " larger --data.max-damaged-fraction, the same command goes on",
            ]
        )


def with_video_ids(entries: Sequence[dict[str, Any]], videos: pa.Table) -> list[dict[str, Any]]:
    """The entries with the ids that the data set's table gives: those in a damaged row are not to be trusted."""
    by_index = dict(zip(videos["video_index"].to_pylist(), videos["video_id"].to_pylist(), strict=True))
    return [{**entry, "video_id": by_index[entry["video_index"]]} for entry in entries]
