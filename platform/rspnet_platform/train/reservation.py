"""What a training's workers hold of the cluster, written down by them: when Ray Train's controller dies, nobody else
gives it back. (Ray's own cleaner asks a dashboard, which a local cluster does not have.)"""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import ray
from ray.util.placement_group import PlacementGroup, get_current_placement_group, remove_placement_group

from rspnet_platform import storage

RECORD = "reservation.json"


@dataclass(frozen=True, kw_only=True)
class ReservationListener(AbstractContextManager):
    """Rank 0 writes its worker group's placement group into the run's folder before the first step."""

    run_uri: str

    def __enter__(self) -> "ReservationListener":
        if (group := get_current_placement_group()) is not None:
            storage.write_json(storage.join(self.run_uri, RECORD), {"placement_group": group.id.hex()})
        return self

    def on_metrics(self, step: int, metrics: dict[str, float]) -> None:
        """Nothing to do."""

    def before_checkpoint(self, step: int) -> None:
        """Nothing to do."""

    def __exit__(self, *_: object) -> None:
        """The controller gives it back where it lives."""


def give_back(run_uri: str) -> None:
    """What the run's last worker group holds; nothing where it holds nothing any more."""
    try:
        group_id = storage.read_json(storage.join(run_uri, RECORD))["placement_group"]
    except FileNotFoundError:
        return
    entry = ray.util.placement_group_table().get(group_id)
    if entry is not None and entry["state"] != "REMOVED":
        remove_placement_group(PlacementGroup(ray.PlacementGroupID(bytes.fromhex(group_id))))
