"""Damaged rows met while training: counted and listed with the run, never replaced by another video."""

from dataclasses import dataclass

from rspnet_platform import storage


@dataclass(frozen=True, kw_only=True)
class DamageLedger:
    """A folder with a small file a damaged video: any decode worker on any node enters one, and it survives them."""

    uri: str

    def enter(self, video_index: int, *, video_id: str, epoch: int, error: str) -> None:
        entry = {"video_index": video_index, "video_id": video_id, "epoch": epoch, "error": error}
        storage.write_json(storage.join(self.uri, f"{video_index}.json"), entry)

    def entries(self) -> list[dict]:
        """Each damaged video once, with the last epoch that it was met in."""
        return [storage.read_json(storage.join(self.uri, name)) for name in storage.list_names(self.uri)]

    def count(self) -> int:
        return len(storage.list_names(self.uri))
