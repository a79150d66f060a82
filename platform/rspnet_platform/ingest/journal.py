"""What an unfinished ingest remembers: one small file a finished shard, below `_ingest/` in the output."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rspnet_platform import storage
from rspnet_platform.ingest.refusals import Refusal
from rspnet_platform.shards.description import DESCRIPTION_NAME
from rspnet_platform.videos.refusal_reasons import RefusalReason

JOURNAL_FOLDER = "_ingest"
_COMMAND_NAME = "ingest.json"


@dataclass(frozen=True, kw_only=True)
class ShardRecord:
    """A shard in its place. `next_position` is where the source's shuffled order goes on after it, `videos` its rows
    of VIDEOS_SCHEMA, `refusals` those met since the shard before; the numbers count from the beginning."""

    next_position: int
    videos: Sequence[dict[str, Any]]
    refusals: Sequence[Refusal]
    num_already_present: int
    num_already_refused: int


class Journal:
    """Opened for one command, told by `ingest_sha256`, that adds to `base_version` (0: to nothing).

    ValueError when the output holds something else.
    """

    def __init__(self, output: str, ingest_sha256: str, base_version: int) -> None:
        self._folder = storage.join(output, JOURNAL_FOLDER)
        command = {"ingest_sha256": ingest_sha256, "base_version": base_version}
        names = [name for name in storage.list_names(output) if not name.startswith(".")]
        if names and not base_version and JOURNAL_FOLDER not in names:
            raise ValueError(
                f"output {output} is not empty (it holds {', '.join(names[:5])}) and is no data set with"
                f" {DESCRIPTION_NAME}; accepted: a new or empty folder"
            )
        command_uri = storage.join(self._folder, _COMMAND_NAME)
        if not storage.exists(command_uri):
            storage.write_json(command_uri, command)
        elif storage.read_json(command_uri) != command:
            raise ValueError(
                f"output {output} holds the remains of another ingest, in {JOURNAL_FOLDER}: its source or settings"
                " differ; accepted: the same command again, another output, or"
                f" {f'that folder {JOURNAL_FOLDER}' if base_version else 'this folder'} once deleted"
            )

    def read(self) -> list[ShardRecord]:
        """The records of the shards that are complete, in order."""
        names = set(storage.list_names(self._folder))
        records: list[ShardRecord] = []
        while (name := _record_name(len(records))) in names:
            value = storage.read_json(storage.join(self._folder, name))
            refusals = [Refusal(**r | {"reason": RefusalReason(r["reason"])}) for r in value["refusals"]]
            records.append(ShardRecord(**value | {"refusals": refusals}))
        return records

    def append(self, record_index: int, record: ShardRecord) -> None:
        """Call when the shard itself is in its place."""
        storage.write_json(storage.join(self._folder, _record_name(record_index)), asdict(record))

    def delete(self) -> None:
        """Call when the data set's description is in its place."""
        storage.delete_folder(self._folder)


def delete_journal_of(output: str, ingest_sha256: str) -> None:
    """Deletes what a finished command was interrupted in deleting, and leaves the journal of another."""
    folder = storage.join(output, JOURNAL_FOLDER)
    command_uri = storage.join(folder, _COMMAND_NAME)
    if storage.exists(command_uri) and storage.read_json(command_uri).get("ingest_sha256") == ingest_sha256:
        storage.delete_folder(folder)


def _record_name(record_index: int) -> str:
    return f"record-{record_index:05d}.json"
