"""Why a video is unusable: a fixed list of reasons, and the error that carries one."""

from enum import StrEnum


class RefusalReason(StrEnum):
    """The name goes into tables and JSON; `sentence` is for people."""

    NOT_FOUND = "not_found"
    OUTSIDE_ROOT = "outside_root"
    UNREADABLE = "unreadable"
    NO_VIDEO_STREAM = "no_video_stream"
    UNSUPPORTED = "unsupported"
    ENCRYPTED = "encrypted"
    DECODE_ERROR = "decode_error"
    DAMAGED = "damaged"
    INCOMPLETE = "incomplete"
    TOO_SHORT = "too_short"
    OVER_LIMIT = "over_limit"
    TIMED_OUT = "timed_out"
    CRASHED = "crashed"
    DUPLICATE = "duplicate"
    ID_TAKEN = "id_taken"
    VERIFICATION_FAILED = "verification_failed"

    @property
    def sentence(self) -> str:
        """What the reason means."""
        return _SENTENCES[self]


_SENTENCES = {
    RefusalReason.NOT_FOUND: "No file is there.",
    RefusalReason.OUTSIDE_ROOT: "The path leaves the source's root folder.",
    RefusalReason.UNREADABLE: "The file cannot be opened as a video.",
    RefusalReason.NO_VIDEO_STREAM: "The file holds no video stream.",
    RefusalReason.UNSUPPORTED: "There is no decoder for the video, or no conversion of its pictures.",
    RefusalReason.ENCRYPTED: "The video is encrypted.",
    RefusalReason.DECODE_ERROR: "The video opens but does not decode to its end.",
    RefusalReason.DAMAGED: "The decoder found damage in more of the frames than is tolerated.",
    RefusalReason.INCOMPLETE: "Fewer frames decode than the container promises, by more than is tolerated.",
    RefusalReason.TOO_SHORT: "The video has too few frames.",
    RefusalReason.OVER_LIMIT: "The video is larger than the limits allow.",
    RefusalReason.TIMED_OUT: "The video took longer than the time limit.",
    RefusalReason.CRASHED: "The process that decoded the video died.",
    RefusalReason.DUPLICATE: "Another file with the same bytes was taken already.",
    RefusalReason.ID_TAKEN: "The data set has another video under this id, or this one with another label or split.",
    RefusalReason.VERIFICATION_FAILED: "The stored video did not decode to the frames that went in.",
}


class VideoRefusedError(Exception):
    """Raised where a video turns out unusable; becomes a Refusal where its path is known."""

    def __init__(self, reason: RefusalReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
