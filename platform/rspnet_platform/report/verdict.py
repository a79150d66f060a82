"""One honest line: is the encoder better than the same one untrained?"""

import math
from dataclasses import dataclass
from typing import Literal

from rspnet_platform.visualise.retrieval_table import RetrievalTable

NUM_DEVIATIONS = 2.0
PLUS_MINUS = "\N{NO-BREAK SPACE}\N{PLUS-MINUS SIGN}\N{NO-BREAK SPACE}"
RULE = (
    "Numbers are told apart that differ by more than two standard deviations: of the random initialisations (the "
    "sample's, n - 1), and of a share of so many queries"
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`kind` colours it; `detail` says what the sentence rests on."""

    kind: Literal["above", "within", "below", "unknown"]
    sentence: str
    detail: str


def retrieval_verdict(table: RetrievalTable) -> Verdict:
    """By the smallest k that was asked. With one random initialisation alone nothing is said to be above or below."""
    row = table.rows[0]
    numbers = f"retrieval top-{row.k} {row.share:.1%}; random initialisation {row.random_mean:.1%}"
    chance = math.sqrt(row.share * (1 - row.share) / table.num_queries)
    with_queries = f"{chance:.1%} with {table.num_queries} queries"
    if row.random_std is None:
        words = "beside a single random initialisation, whose spread is not known"
        return Verdict(kind="unknown", sentence=f"{numbers}: {words}.", detail=f"{RULE} (here {with_queries}).")
    numbers += f"{PLUS_MINUS}{row.random_std:.1%}"
    detail = f"{RULE} (here {row.random_std:.1%} over {table.num_random} seeds, and {with_queries})."
    if abs(row.difference) <= NUM_DEVIATIONS * math.hypot(row.random_std, chance):
        return Verdict(kind="within", sentence=f"Within the spread of random initialisation: {numbers}.", detail=detail)
    kind = "above" if row.difference > 0 else "below"
    return Verdict(kind=kind, sentence=f"{kind.capitalize()} random initialisation: {numbers}.", detail=detail)


def recognition_verdict(top1: float, most_frequent: float, num_videos: int) -> Verdict:
    """Beside always answering the class that is most frequent in training."""
    chance = math.sqrt(top1 * (1 - top1) / max(num_videos, 1))
    numbers = f"test top-1 {top1:.1%} on {num_videos:,} videos; always the most frequent class {most_frequent:.1%}"
    detail = f"One seed's number; a share of so many videos has a standard deviation of {chance:.1%}."
    if abs(top1 - most_frequent) <= NUM_DEVIATIONS * chance:
        return Verdict(kind="within", sentence=f"Not told apart from a constant answer: {numbers}.", detail=detail)
    kind = "above" if top1 > most_frequent else "below"
    return Verdict(kind=kind, sentence=f"{kind.capitalize()} a constant answer: {numbers}.", detail=detail)
