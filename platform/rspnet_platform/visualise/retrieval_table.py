"""How often a query's class is among its nearest videos, beside random initialisations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from rspnet_core.evaluation.retrieval import RetrievalResult
from rspnet_platform.inference.retrieval_evaluation import RANDOM_PREFIX, TRAINED
from rspnet_platform.inference.seed_spread import sample_deviation
from rspnet_platform.visualise.page_shell import render_fragment


@dataclass(frozen=True, kw_only=True)
class RetrievalRow:
    """Shares of the queries; of random encoders the mean and the sample's standard deviation (n - 1), None of one."""

    k: int
    share: float
    random_mean: float
    random_std: float | None

    @property
    def difference(self) -> float:
        return self.share - self.random_mean


@dataclass(frozen=True, kw_only=True)
class RetrievalTable:
    rows: Sequence[RetrievalRow]
    num_queries: int
    num_gallery: int
    num_random: int
    skipped: tuple[int, ...]
    protocol: str


def retrieval_table(results: Mapping[str, RetrievalResult], protocol: str) -> RetrievalTable:
    """Of the trained encoder and the random ones beside it."""
    trained = results[TRAINED]
    random = [result for name, result in results.items() if name.startswith(RANDOM_PREFIX)]
    return RetrievalTable(
        rows=[
            RetrievalRow(
                k=k,
                share=share,
                random_mean=float(np.mean([each.accuracy[k] for each in random])),
                random_std=sample_deviation([each.accuracy[k] for each in random]),
            )
            for k, share in trained.accuracy.items()
        ],
        num_queries=trained.num_queries,
        num_gallery=trained.num_gallery,
        num_random=len(random),
        skipped=trained.skipped_k,
        protocol=protocol,
    )


def render_retrieval_table(table: RetrievalTable) -> Markup:
    return render_fragment("retrieval_table.html.jinja", table=table)
