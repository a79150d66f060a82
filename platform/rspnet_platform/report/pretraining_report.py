"""The report of a pretraining run."""

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from rspnet_platform.report.config_table import config_rows, render_config
from rspnet_platform.report.dataset_part import render_dataset
from rspnet_platform.report.evaluated_run import NO_LABELS, EvaluatedRun
from rspnet_platform.report.facts import facts_of, render_header
from rspnet_platform.report.page_parts import Report, left_out, make_part, try_to
from rspnet_platform.report.verdict import Verdict, retrieval_verdict
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.tracking.run_history import RunHistory
from rspnet_platform.visualise.confusion_matrix import HOW, nearest_class_confusion
from rspnet_platform.visualise.confusion_picture import render_confusion
from rspnet_platform.visualise.curves import curves_of, render_curves
from rspnet_platform.visualise.embedding_map import map_of, render_map_fragment
from rspnet_platform.visualise.gallery import make_gallery, render_gallery
from rspnet_platform.visualise.page_shell import Section, render_shell
from rspnet_platform.visualise.recorded_run import RecordedRun
from rspnet_platform.visualise.retrieval_table import RetrievalTable, render_retrieval_table, retrieval_table
from rspnet_platform.visualise.roi_sheets import make_roi_sheets, render_roi_sheets

NUM_QUERIES, NUM_NEAREST, NUM_SHEETS = 12, 5, 3
"""Their thumbnails are at most 132, of 48 kB at most, as a rule a quarter of that."""


@dataclass(frozen=True, kw_only=True)
class ReportSources:
    """Where a report is made from. Each may fail on its own: what needs it is then missing, with the reason."""

    run: RecordedRun
    dataset: Callable[[], ShardedDataset]
    history: Callable[[], RunHistory]
    evaluated: Callable[[ShardedDataset], EvaluatedRun]
    seed: int


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the sources gave, or why not: a part that asks for something missing raises ValueError with the reason."""

    sources: ReportSources
    dataset_or_reason: tuple[ShardedDataset | None, str]
    history_or_reason: tuple[RunHistory | None, str]
    evaluated_or_reason: tuple[EvaluatedRun | None, str]

    @classmethod
    def of(cls, sources: ReportSources) -> "Found":
        dataset, why = try_to("dataset", sources.dataset)
        evaluated = (None, f"the data set cannot be read: {why}")
        if dataset is not None:
            evaluated = try_to("features", lambda: sources.evaluated(dataset))
        return cls(
            sources=sources,
            dataset_or_reason=(dataset, why),
            history_or_reason=try_to("history", sources.history),
            evaluated_or_reason=evaluated,
        )

    @property
    def dataset(self) -> ShardedDataset:
        dataset, reason = self.dataset_or_reason
        if dataset is None:
            raise ValueError(reason)
        return dataset

    @property
    def history(self) -> RunHistory:
        history, reason = self.history_or_reason
        if history is None:
            raise ValueError(reason)
        return history

    @property
    def evaluated(self) -> EvaluatedRun:
        evaluated, reason = self.evaluated_or_reason
        if evaluated is None:
            raise ValueError(reason)
        return evaluated


def report_pretraining(sources: ReportSources) -> Report:
    """Everything on one page; never raises for what a part cannot do."""
    found = Found.of(sources)
    sections = [
        make_part("retrieval", "Retrieval", lambda: render_retrieval_table(table_of(found))),
        make_part("curves", "Curves", lambda: curves_part(found.history, sources.run)),
        make_part("gallery", "Nearest videos", lambda: gallery_part(found)),
        make_part("confusion", "Confusion", lambda: confusion_part(found)),
        make_part("roi", "RoI maps", lambda: roi_part(found)),
        make_part(
            "map",
            "Map of embeddings",
            lambda: render_map_fragment(map_of(found.dataset, found.evaluated.frozen.features, sources.seed)),
        ),
        *closing_parts(found.dataset_or_reason, sources.run),
    ]
    verdict = verdict_of(found)
    return page(sources.run, found.dataset_or_reason[0], found.history_or_reason[0], verdict, sections)


def page(
    run: RecordedRun,
    dataset: ShardedDataset | None,
    history: RunHistory | None,
    verdict: Verdict,
    sections: list[Section],
) -> Report:
    header = render_header(facts_of(run, dataset, history, verdict))
    html = render_shell(overline="Report of a run", title=run.name, sections=sections, header=header)
    return Report(html=html, left_out=left_out(sections))


def closing_parts(dataset_or_reason: tuple[ShardedDataset | None, str], run: RecordedRun) -> list[Section]:
    """What stands at the end of every report."""
    dataset, reason = dataset_or_reason
    recipe_name = str(run.config.get("recipe"))
    return [
        Section(name="data", title="Data set", missing=reason)
        if dataset is None
        else make_part("data", "Data set", lambda: render_dataset(dataset)),
        make_part(
            "config",
            "Config",
            lambda: render_config(
                config_rows(run.config, run.recipe), recipe_name, is_recipe_known=run.recipe is not None
            ),
        ),
    ]


def curves_part(history: RunHistory, run: RecordedRun) -> Markup:
    curves = curves_of(history.curves, run.clips_per_step)
    if not curves.charts:
        raise ValueError(f"the run {history.run_id} has logged no metric at two steps or more")
    return render_curves(curves)


def table_of(found: Found) -> RetrievalTable:
    """Raises ValueError without labels."""
    evaluated = found.evaluated
    if not evaluated.results:
        raise ValueError(f"{NO_LABELS}: nobody can say what is right")
    return retrieval_table(evaluated.results, evaluated.protocol)


def gallery_part(found: Found) -> Markup:
    """Fewer neighbours where there are fewer videos."""
    search, dataset = found.evaluated.search, found.dataset
    num_others = search.num_others
    gallery = make_gallery(
        dataset,
        search,
        found.evaluated.frozen,
        num_queries=NUM_QUERIES,
        num_nearest=max(1, min(NUM_NEAREST, num_others)),
        seed=found.sources.seed,
        decoder=found.sources.run.config.get("data.decoder"),
    )
    return render_gallery(gallery)


def confusion_part(found: Found) -> Markup:
    evaluated = found.evaluated
    if evaluated.labelled is None:
        raise ValueError(f"{NO_LABELS}: there are no classes to confuse")
    return render_confusion(nearest_class_confusion(evaluated.labelled, evaluated.frozen), HOW)


def roi_part(found: Found) -> Markup:
    run = found.sources.run
    if run.checkpoint is None:
        raise ValueError("the run has no checkpoint yet")
    sheets, num_left_out = make_roi_sheets(
        run.checkpoint,
        found.dataset,
        split=run.config.get("data.split", "all"),
        num_videos=NUM_SHEETS,
        seed=found.sources.seed,
        decoder=run.config.get("data.decoder"),
    )
    return render_roi_sheets(sheets, num_left_out)


def verdict_of(found: Found) -> Verdict:
    table, reason = try_to("verdict", lambda: retrieval_verdict(table_of(found)))
    return table or Verdict(kind="unknown", sentence="Not compared with random initialisation.", detail=reason)
