"""All videos as points in a plane, coloured by class, beside the same of a random initialisation: one picture."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.colors import to_hex

from rspnet_core.random_streams import random_stream
from rspnet_platform import storage
from rspnet_platform.command_line import say
from rspnet_platform.inference.dataset_features import DatasetFeatures
from rspnet_platform.inference.retrieval_evaluation import QUERY_SPLIT
from rspnet_platform.ingest.audit.formats import shorten
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.stream.splits import select_videos
from rspnet_platform.visualise.chosen_videos import ChosenVideo, videos_at
from rspnet_platform.visualise.frozen_features import SHOWN_ENCODERS, frozen_features
from rspnet_platform.visualise.page_shell import page_environment, render_fragment
from rspnet_platform.visualise.part_configs import EmbeddingMapConfig
from rspnet_platform.visualise.principal_plane import PrincipalPlane, principal_plane

FILE_NAME = "embedding_map.svg"
MAX_NUM_POINTS = 4000
STRONG_FIRST = tuple(place for place in (*range(0, 20, 2), *range(1, 20, 2)) if place not in (14, 15))
"""Of matplotlib's tab20, without its greys. The largest classes have these colours, all others are grey: nobody tells
more apart."""
OTHER_COLOUR = "#b4b4b4"
SIDE, MARGIN, LEGEND_WIDTH = 520, 34, 220
"""Pixels of a panel, around the points, and of the legend."""
MAX_NAME_LENGTH = 26


@dataclass(frozen=True, kw_only=True)
class Point:
    """`is_query`: of the test split, drawn as a ring."""

    x: float
    y: float
    colour: str
    is_query: bool
    title: str


@dataclass(frozen=True, kw_only=True)
class Panel:
    heading: str
    axes: str
    points: Sequence[Point]


@dataclass(frozen=True, kw_only=True)
class LegendEntry:
    name: str
    colour: str
    count: int


def draw_embedding_map(config: EmbeddingMapConfig) -> dict[str, Any]:
    """Writes the picture and returns what is on it. Labels are not needed, and then all points are grey."""
    dataset = open_dataset(config.data.shards, config.data.version)
    output = storage.resolve_uri(config.output)
    frozen = frozen_features(
        dataset,
        select_videos(dataset, config.split),
        model=config.model,
        protocol=config.protocol,
        tracking=config.tracking,
        decoder=config.data.decoder,
        output=output,
    )
    features = frozen.features
    drawn = map_of(dataset, features, config.seed)
    content = render_map(drawn, frozen.model, frozen.stamp)
    storage.write_bytes(storage.join(output, FILE_NAME), content.encode())
    say(f"look at it: {storage.join(output, FILE_NAME)}")
    return {
        "part": "embedding_map",
        "output": output,
        "files": [FILE_NAME],
        "model": frozen.model,
        "features": frozen.stamp,
        "num_videos": drawn.num_videos,
        "num_shown": drawn.num_shown,
        "num_damaged": frozen.num_damaged,
        "explained_variance": {heading: list(plane.explained) for heading, plane in planes_of(features).items()},
    }


def drawn_places(num_videos: int, seed: int) -> np.ndarray:
    """Which of the videos have a point: all, or a draw of MAX_NUM_POINTS."""
    generator = random_stream(seed, 0, 0, "visualise/points")
    return np.sort(generator.permutation(num_videos)[:MAX_NUM_POINTS])


def queries_of(dataset: ShardedDataset) -> frozenset[int]:
    """The videos of the test split."""
    videos = dataset.videos
    pairs = zip(videos["video_index"].to_pylist(), videos["split"].to_pylist(), strict=True)
    return frozenset(index for index, split in pairs if split == QUERY_SPLIT)


@dataclass(frozen=True, kw_only=True)
class EmbeddingMap:
    """`legend`: of the classes that have a colour, and of the others together."""

    panels: Sequence[Panel]
    legend: Sequence[LegendEntry]
    has_queries: bool
    is_labelled: bool
    num_shown: int
    num_videos: int


def map_of(dataset: ShardedDataset, features: DatasetFeatures, seed: int) -> EmbeddingMap:
    """Of the model and of the first random initialisation. Raises ValueError for fewer than three videos."""
    planes, indices = planes_of(features), features.video_indices
    shown = drawn_places(len(indices), seed)
    table = dataset.videos
    label_of = dict(zip(table["video_index"].to_pylist(), table["label"].to_pylist(), strict=True))
    labels = [label_of[index] for index in indices.tolist()]
    return make_map(videos_at(dataset, indices[shown].tolist()), labels, queries_of(dataset), planes, shown)


def planes_of(features: DatasetFeatures) -> dict[str, PrincipalPlane]:
    return {heading: principal_plane(features.features[name]) for heading, name in SHOWN_ENCODERS.items()}


def make_map(
    videos: Sequence[ChosenVideo],
    labels: Sequence[str | None],
    queries: frozenset[int],
    planes: Mapping[str, PrincipalPlane],
    shown: np.ndarray,
) -> EmbeddingMap:
    """`labels` and the points of `planes` are of all videos; `videos` are those at the places `shown`, in order."""
    colours = class_colours(labels)
    counts = Counter(labels)
    legend = [LegendEntry(name=name, colour=colour, count=counts[name]) for name, colour in sorted(colours.items())]
    if num_others := len(labels) - sum(entry.count for entry in legend):
        legend.append(LegendEntry(name="others", colour=OTHER_COLOUR, count=num_others))
    return EmbeddingMap(
        panels=[_panel(heading, plane, videos, queries, colours, shown) for heading, plane in planes.items()],
        legend=legend,
        has_queries=any(video.video_index in queries for video in videos),
        is_labelled=bool(colours),
        num_shown=len(shown),
        num_videos=len(labels),
    )


def render_map(drawn: EmbeddingMap, model: str, stamp: str) -> str:
    """SVG that loads nothing and runs nothing; names and labels come from strangers, and all are escaped."""
    environment = page_environment("rspnet_platform.visualise")
    environment.filters["name"] = lambda text: printable(shorten(text, MAX_NAME_LENGTH))
    environment.filters["line"] = lambda text: printable(shorten(text, 150))
    template = environment.get_template("embedding_map.svg.jinja")
    return template.render(vars(drawn) | {"model": model, "stamp": stamp, "side": SIDE, "legend_width": LEGEND_WIDTH})


def render_map_fragment(drawn: EmbeddingMap) -> Markup:
    """The same for a page, in its colours."""
    return render_fragment("embedding_map.html.jinja", **vars(drawn), side=SIDE)


def class_colours(labels: Sequence[str | None]) -> dict[str, str]:
    """A colour for each class, or for the largest where there are more classes than colours."""
    counts = Counter(label for label in labels if label is not None)
    largest = sorted(counts, key=lambda name: (-counts[name], name))[: len(STRONG_FIRST)]
    table = matplotlib.colormaps["tab20"]
    return {name: to_hex(table(place)) for name, place in zip(sorted(largest), STRONG_FIRST, strict=False)}


def colour_of(label: str | None, colours: Mapping[str, str]) -> str:
    return OTHER_COLOUR if label is None else colours.get(label, OTHER_COLOUR)


def _panel(
    heading: str,
    plane: PrincipalPlane,
    videos: Sequence[ChosenVideo],
    queries: frozenset[int],
    colours: dict[str, str],
    shown: np.ndarray,
) -> Panel:
    """One scale for both axes, so that distances are what they look like."""
    low, high = plane.points.min(axis=0), plane.points.max(axis=0)
    scale = (SIDE - 2 * MARGIN) / max(float((high - low).max()), 1e-12)
    points = SIDE / 2 + (plane.points - (low + high) / 2) * scale * (1, -1)
    return Panel(
        heading=heading,
        axes=f"principal axes: {plane.explained[0]:.0%} and {plane.explained[1]:.0%} of the variance",
        points=[
            Point(
                x=round(float(points[place, 0]), 1),
                y=round(float(points[place, 1]), 1),
                colour=colour_of(video.label, colours),
                is_query=video.video_index in queries,
                title=f"{'no label' if video.label is None else video.label}: {video.video_id}",
            )
            for place, video in zip(shown.tolist(), videos, strict=True)
        ],
    )


def printable(text: str) -> str:
    """XML has no way to write control characters at all."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
