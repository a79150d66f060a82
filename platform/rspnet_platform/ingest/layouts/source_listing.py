"""What an ingest finds in its source: videos, what is refused unopened, and what is left out, with the reason."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from rspnet_platform.ingest.refusals import Refusal


@dataclass(frozen=True, kw_only=True)
class VideoSource:
    """One input file: `path` opens it, `video_id` is its path relative to the source's root."""

    path: str
    video_id: str
    label: str | None = None
    split: str | None = None
    source: str | None = None


class SkipReason(StrEnum):
    """Why something is neither a video of the data set nor a refusal; `sentence` is for people."""

    NOT_A_VIDEO = "not_a_video"
    UNLISTED = "unlisted"
    UNUSED = "unused"
    MISSING = "missing"
    SAME_FOLDER = "same_folder"
    UNREADABLE_HIDDEN_FOLDER = "unreadable_hidden_folder"

    @property
    def sentence(self) -> str:
        """What the reason means."""
        return _SENTENCES[self]


_SENTENCES = {
    SkipReason.NOT_A_VIDEO: "By its name the file is no video, or it is hidden.",
    SkipReason.UNLISTED: "The file is on disk, but in none of the lists.",
    SkipReason.UNUSED: "The lists name the file as used by neither side of this split.",
    SkipReason.MISSING: "The lists name the video, but it was never downloaded.",
    SkipReason.SAME_FOLDER: "It is a link to a folder that was read under another name.",
    SkipReason.UNREADABLE_HIDDEN_FOLDER: "The folder is hidden, and may not be read.",
}


@dataclass(frozen=True, kw_only=True)
class SkippedFile:
    """Left out before anything was opened. `path` is relative to the source's root."""

    path: str
    reason: SkipReason


@dataclass(frozen=True, kw_only=True)
class SourceListing:
    """What was found, all of it sorted. `refusals` are entries of a list that may not or cannot be opened at all;
    `notes` say how the source was understood, where that may not be what was meant."""

    root: str
    videos: tuple[VideoSource, ...]
    refusals: tuple[Refusal, ...] = ()
    skipped: tuple[SkippedFile, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def skipped_files(self) -> tuple[str, ...]:
        """Files that are on disk and left out."""
        return tuple(file.path for file in self.skipped if file.reason != SkipReason.MISSING)

    @property
    def missing_files(self) -> tuple[str, ...]:
        """What the lists of a data set of dead links name and nobody has."""
        return tuple(file.path for file in self.skipped if file.reason == SkipReason.MISSING)


def make_listing(
    root: str,
    videos: Iterable[VideoSource],
    refusals: Iterable[Refusal] = (),
    skipped: Iterable[SkippedFile] = (),
    notes: Iterable[str] = (),
) -> SourceListing:
    """The listing in the one order that does not depend on how a store lists."""
    return SourceListing(
        root=root,
        videos=tuple(sorted(videos, key=lambda video: video.video_id)),
        refusals=tuple(refusals),
        skipped=tuple(sorted(skipped, key=lambda file: (file.path, file.reason))),
        notes=tuple(notes),
    )
