"""Damaged rows met while training: counted and listed with the run, never replaced by another video."""

from dataclasses import dataclass

from rspnet_platform import storage


@dataclass(frozen=True, kw_only=True)
class DamageLedger:
    """A folder with a small file a damaged video: any decode worker on any node enters one, and it survives them."""

    uri: str

    def enter(self, video_index: int, *, epoch: int, error: str) -> None:
        """The same video again, in another epoch or by a task that is run again, is still one entry."""
        entry = {"video_index": video_index, "epoch": epoch, "error": error}
        storage.write_json(storage.join(self.uri, f"{video_index}.json"), entry)

    def entries(self) -> list[dict]:
        """Each damaged video once, with the last epoch that it was met in."""
        return [storage.read_json(storage.join(self.uri, name)) for name in self._names()]

    def count(self) -> int:
        """One listing of the folder."""
        return len(self._names())

    def _names(self) -> list[str]:
        # A worker that is killed while it writes leaves a temporary file behind.
        return [name for name in storage.list_names(self.uri) if not name.startswith(".")]
