"""Stops an ingest that refuses too much, with a summary of why."""

from rspnet_platform.ingest.base_version import BaseVersion
from rspnet_platform.ingest.ingest_state import IngestState
from rspnet_platform.ingest.refusals import Refusal, count_by_reason, write_refusals
from rspnet_platform.ingest.sources import SourceListing
from rspnet_platform.videos.refusal_reasons import RefusalReason


class TooManyRefusalsError(ValueError):
    """More videos were refused than `max_refused_fraction`; `refusals` says which and why."""

    def __init__(self, message: str, refusals: tuple[Refusal, ...]) -> None:
        super().__init__(message)
        self.refusals = refusals


class RefusalLimit:
    """Of the videos that are new: what the version added to has, or has refused already, does not count."""

    def __init__(self, max_refused_fraction: float, listing: SourceListing, base: BaseVersion) -> None:
        self.num_listed = len(listing.videos) + len(listing.refusals)
        self._max_refused_fraction = max_refused_fraction
        self._base = base

    def check(self, state: IngestState) -> None:
        """TooManyRefusalsError as soon as it is certain: nobody should wait hours for it."""
        num_refused = len(state.refusals)
        num_new = self.num_listed - state.num_already_present - state.num_already_refused
        if num_refused > self._max_refused_fraction * num_new:
            accepted = f"accepted: up to {self._max_refused_fraction:.0%} (max_refused_fraction)"
        elif num_refused == num_new and not self._base.version:
            accepted = "accepted: at least one usable video"
        else:
            return
        raise TooManyRefusalsError(self._summary(state, num_new, accepted), tuple(state.refusals))

    def _summary(self, state: IngestState, num_new: int, accepted: str) -> str:
        refusals = [*self._base.refusals, *state.refusals]
        uri = write_refusals(state.output, refusals, self._base.version + 1)
        new = "new videos" if self._base.version else "videos"
        num_tried = f"{state.next_position} tried so far"
        lines = [f"{len(state.refusals)} of {num_new} {new} were refused ({num_tried}); {accepted}"]
        for reason, count in count_by_reason(state.refusals).items():
            example = next(refusal for refusal in state.refusals if refusal.reason == reason)
            sentence = RefusalReason(reason).sentence
            lines.append(f"  {reason}: {count} ({sentence} For example {example.path}: {example.detail})")
        lines.append(f"  all of them: {uri}")
        return "\n".join(lines)
