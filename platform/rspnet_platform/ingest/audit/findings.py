"""What in a data set's numbers is worth a person's eye."""

from collections.abc import Sequence
from dataclasses import dataclass

from rspnet_platform.ingest.audit.dataset_numbers import DatasetNumbers, ReasonGroup
from rspnet_platform.ingest.audit.formats import shorten
from rspnet_platform.ingest.layouts.source_listing import SkipReason
from rspnet_platform.videos.refusal_reasons import RefusalReason

# From these on something is said.
UNEQUAL_CLASSES_RATIO = 10
NOTABLE_FRACTION = 0.02
OTHER_FRAME_RATES_FRACTION = 0.1
MAX_NAMES = 5
MAX_NAME_LENGTH = 60


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`headline` says what was found, `meaning` why it may matter and what can be done."""

    headline: str
    meaning: str


def find_oddities(
    numbers: DatasetNumbers,
    refused: Sequence[ReasonGroup],
    skipped: Sequence[ReasonGroup],
    *,
    short_num_frames: int,
) -> list[Finding]:
    """In the order of their weight; an empty list for a data set with nothing to say about it."""
    return [
        *_about_splits(numbers),
        *_about_classes(numbers),
        *_about_left_out(numbers, refused, skipped),
        *_about_frames(numbers, short_num_frames),
    ]


def _about_splits(numbers: DatasetNumbers) -> list[Finding]:
    findings = []
    if numbers.num_divided_sources:
        findings.append(
            Finding(
                headline=f"The split divides {count(numbers.num_divided_sources, 'source')}",
                meaning=f"Clips of {names([numbers.divided_source or ''])} are on more than one side: what is learnt on"
                " one is recognised on the other, and results come out too good.",
            )
        )
    balance = numbers.balance
    for position, split in enumerate(balance.splits):
        absent = [c.name for c in balance.classes if not c.counts[position]]
        if absent and len(absent) < len(balance.classes):
            findings.append(
                Finding(
                    headline=f"{count(len(absent), 'class', 'classes')} not in {names([split])}",
                    meaning=f"{names(absent)}: no result on that side can be right about them.",
                )
            )
    return findings


def _about_classes(numbers: DatasetNumbers) -> list[Finding]:
    classes, findings = numbers.balance.classes, []
    if single := [c.name for c in classes if c.num_videos == 1]:
        findings.append(
            Finding(
                headline=f"{count(len(single), 'class', 'classes')} with one video",
                meaning=f"{names(single)}: retrieval finds no other video of the class.",
            )
        )
    if classes and classes[0].num_videos >= UNEQUAL_CLASSES_RATIO * classes[-1].num_videos:
        findings.append(
            Finding(
                headline="Very unequal classes",
                meaning=f"{names([classes[0].name])} has {classes[0].num_videos:,} videos, {names([classes[-1].name])}"
                f" {classes[-1].num_videos:,}. Compare accuracies per class.",
            )
        )
    if classes and numbers.balance.num_unlabelled:
        findings.append(
            Finding(
                headline=f"{count(numbers.balance.num_unlabelled, 'video')} without a label",
                meaning="Pretraining uses them; retrieval and fine-tuning leave them out.",
            )
        )
    return findings


def _about_left_out(
    numbers: DatasetNumbers, refused: Sequence[ReasonGroup], skipped: Sequence[ReasonGroup]
) -> list[Finding]:
    findings = []
    refused_counts = {group.reason: group.count for group in refused}
    skipped_counts = {group.reason: group.count for group in skipped}
    num_duplicates = refused_counts.pop(RefusalReason.DUPLICATE, 0)
    num_refused = sum(refused_counts.values())
    if num_refused > NOTABLE_FRACTION * (numbers.num_videos + num_refused):
        fraction = num_refused / (numbers.num_videos + num_refused)
        findings.append(
            Finding(headline=f"{fraction:.1%} refused", meaning=f"{count(num_refused, 'video')}; reasons are below.")
        )
    if num_duplicates:
        findings.append(
            Finding(
                headline=count(num_duplicates, "duplicate"),
                meaning="Files of the same bytes: the first is in the data set. Copies on two sides of a split, or in"
                " two classes, are a fault of the source.",
            )
        )
    if num_missing := skipped_counts.get(SkipReason.MISSING, 0):
        fraction = num_missing / (numbers.num_videos + num_missing)
        findings.append(
            Finding(
                headline=f"{count(num_missing, 'listed video')} missing ({fraction:.1%})",
                meaning="The lists name them, but they are not on disk. Say so beside results: others have other ones.",
            )
        )
    if num_unlisted := skipped_counts.get(SkipReason.UNLISTED, 0):
        findings.append(
            Finding(
                headline=f"{count(num_unlisted, 'video')} on disk and in no list",
                meaning="They are not in the data set.",
            )
        )
    return findings


def _about_frames(numbers: DatasetNumbers, short_num_frames: int) -> list[Finding]:
    findings = []
    most_frequent = numbers.stored_frame_rates.kinds[0]
    if 1 - most_frequent.fraction > OTHER_FRAME_RATES_FRACTION:
        findings.append(
            Finding(
                headline=count(numbers.stored_frame_rates.num_kinds, "frame rate"),
                meaning=f"The most frequent is {most_frequent.name} frames a second, of {most_frequent.fraction:.0%}."
                " Clips are cut in frames: equal motion looks faster in a video of a lower rate.",
            )
        )
    if numbers.with_time_jumps:
        findings.append(
            Finding(
                headline=f"{count(len(numbers.with_time_jumps), 'video')} with a jump in time",
                meaning=f"{names(list(numbers.with_time_jumps))}: recordings were joined. All frames are taken, and a"
                " clip may lie across the cut.",
            )
        )
    if numbers.num_short:
        findings.append(
            Finding(
                headline=f"{count(numbers.num_short, 'video')} of fewer than {short_num_frames} frames",
                meaning="Longer clips of them wrap around or repeat frames.",
            )
        )
    if numbers.promises.num_cut_short:
        findings.append(
            Finding(
                headline=f"{count(numbers.promises.num_cut_short, 'video')} cut short",
                meaning="They decode to less than nine tenths of the frames that their containers promise.",
            )
        )
    if numbers.num_enlarged > NOTABLE_FRACTION * numbers.num_videos:
        findings.append(
            Finding(
                headline=f"{count(numbers.num_enlarged, 'video')} enlarged",
                meaning="Their inputs are smaller than the short side that clips are cut from.",
            )
        )
    return findings


def count(number: int, singular: str, plural: str | None = None) -> str:
    """The number with its noun."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def names(of: Sequence[str]) -> str:
    """The first few, and how many more."""
    more = f" and {len(of) - MAX_NAMES:,} more" if len(of) > MAX_NAMES else ""
    return ", ".join(shorten(name, MAX_NAME_LENGTH) for name in of[:MAX_NAMES]) + more
