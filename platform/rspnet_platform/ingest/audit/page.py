"""The page itself: everything inside one HTML file that loads nothing and runs nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from rspnet_platform.ingest.audit import charts, formats
from rspnet_platform.ingest.audit.class_balance import ClassBalance, ClassCount
from rspnet_platform.ingest.audit.contact_sheet import FilmStrip
from rspnet_platform.ingest.audit.dataset_numbers import DatasetNumbers, ReasonGroup
from rspnet_platform.ingest.audit.distributions import Tally
from rspnet_platform.ingest.audit.findings import Finding
from rspnet_platform.shards.description import DatasetDescription

MAX_CLASSES_SHOWN = 60
MAX_TEXT_LENGTH = 240
_TEMPLATE_NAME = "page.html.jinja"


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """All that the page shows."""

    title: str
    description: DatasetDescription
    numbers: DatasetNumbers
    num_stored_bytes: int
    num_shards: int
    findings: Sequence[Finding]
    refused: Sequence[ReasonGroup]
    skipped: Sequence[ReasonGroup]
    strips: Sequence[FilmStrip]
    settings: Sequence[tuple[str, str]]
    skipped_file: str


def render_page(report: AuditReport) -> str:
    """HTML of bounded size: everything that grows with the data set is cut to examples and says so.

    File names, labels and details come from strangers: the template escapes all of them, and a policy forbids the
    page to run or load anything at all.
    """
    environment = Environment(
        loader=PackageLoader("rspnet_platform.ingest.audit", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": lambda number: f"{number:,}",
        "bytes": formats.format_bytes,
        "seconds": formats.format_seconds,
        "fraction": formats.format_fraction,
        "number": formats.format_number,
        "short": lambda text: formats.shorten(text, MAX_TEXT_LENGTH),
    }
    return environment.get_template(_TEMPLATE_NAME).render(_values(report))


def _values(report: AuditReport) -> dict[str, Any]:
    largest, smallest = _shown_classes(report.numbers.balance)
    return {
        "report": report,
        "numbers": report.numbers,
        "description": report.description,
        "histograms": _histograms(report.numbers),
        "tallies": _tallies(report.numbers),
        "largest_classes": largest,
        "smallest_classes": smallest,
        "skipped_file": report.skipped_file,
        "versions": _versions(report),
        "num_classes_between": len(report.numbers.balance.classes) - len(largest) - len(smallest),
        "chart": {"width": charts.WIDTH, "height": charts.HEIGHT, "bottom": charts.BOTTOM, "top": charts.TOP},
    }


def _histograms(numbers: DatasetNumbers) -> list[charts.HistogramChart]:
    """Tallies tell rates and sizes better, as long as they hold all of them."""
    drawn = [
        charts.draw_histogram("Duration", numbers.durations_seconds, formats.format_seconds),
        charts.draw_histogram("Frames a video", numbers.frame_counts, _format_whole),
    ]
    if numbers.input_frame_rates.num_other_kinds:
        drawn.append(charts.draw_histogram("Spread of the input's frame rates", numbers.input_frame_rate_spread))
    if numbers.input_sizes.num_other_kinds:
        drawn.append(charts.draw_histogram("Short side of the input", numbers.input_short_sides, _format_whole))
    return drawn


def _tallies(numbers: DatasetNumbers) -> list[tuple[str, Tally]]:
    tallies = [("Frames a second of the input", numbers.input_frame_rates)]
    if numbers.stored_frame_rates != numbers.input_frame_rates:
        tallies.append(("Frames a second as read", numbers.stored_frame_rates))
    return [
        *tallies,
        ("Size of the input", numbers.input_sizes),
        ("Size as read", numbers.stored_sizes),
        ("Codec of the input", numbers.codecs),
        ("Pixel format of the input", numbers.pixel_formats),
    ]


def _format_whole(value: float) -> str:
    return f"{value:,.0f}"


def _versions(report: AuditReport) -> list[tuple[str, str]]:
    description = report.description
    return [
        ("identity", description.manifest_sha256),
        ("command", description.ingest_sha256),
        ("version of the data set", str(description.version)),
        ("schema version", str(description.schema_version)),
        ("made by", description.created_by),
        ("decoder", description.decoder),
        ("encoder", description.encoder),
        *((f"encoder {name}", value) for name, value in description.codec_settings.items()),
    ]


def _shown_classes(balance: ClassBalance) -> tuple[Sequence[ClassCount], Sequence[ClassCount]]:
    """All as the first, or the largest and the smallest where there are too many."""
    if len(balance.classes) <= MAX_CLASSES_SHOWN:
        return balance.classes, ()
    half = MAX_CLASSES_SHOWN // 2
    return balance.classes[:half], balance.classes[-half:]
