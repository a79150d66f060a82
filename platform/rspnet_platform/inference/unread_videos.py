"""Videos that were asked for and are damaged: listed with their reasons, and refused where they are too many."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.damage import NUM_SHOWN, DamageBudget, DamageLedger, with_video_ids
from rspnet_platform.tracking.redaction import redact

NO_REASON = "no reason came back from the node that read it"
"""The ledger of a job without a run's folder lies on the driver's own disk."""


def unread_videos(
    dataset: ShardedDataset, asked: np.ndarray, found: np.ndarray, ledger: DamageLedger
) -> list[dict[str, Any]]:
    """Those of the video indices `asked` that are not in `found`, ascending: video_index, video_id, error."""
    errors = {entry["video_index"]: entry["error"] for entry in ledger.entries()}
    missing = np.setdiff1d(asked, found).tolist()
    entries = with_video_ids([{"video_index": index} for index in missing], dataset.videos)
    return [{**entry, "error": errors.get(entry["video_index"], NO_REASON)} for entry in entries]


def check_unread(
    dataset: ShardedDataset, unread: Sequence[dict[str, Any]], *, num_asked: int, max_damaged_fraction: float
) -> None:
    """Raises ValueError that names the first of them, where more than the fraction, rounded up, are unread: a number on
    what is left would be of another data set."""
    budget = DamageBudget(ledger=DamageLedger(uri=""), num_videos=num_asked, max_damaged_fraction=max_damaged_fraction)
    if len(unread) <= budget.num_allowed:
        return
    shown = [f"  {entry['video_id']}: {entry['error']}" for entry in unread[:NUM_SHOWN]]
    if len(unread) > NUM_SHOWN:
        shown.append(f"  and {len(unread) - NUM_SHOWN} more")
    raise ValueError(
        "\n".join(
            [
                f"{len(unread)} of the {num_asked} videos of {redact(dataset.uri)} that numbers are asked of are"
                f" damaged, and --data.max-damaged-fraction {max_damaged_fraction:g} allows {budget.num_allowed}:",
                *shown,
                "accepted is a data set that can be read, or a larger --data.max-damaged-fraction",
            ]
        )
    )
