"""Queries with their nearest videos as moving thumbnails, beside what a random initialisation finds: one page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from rspnet_core.evaluation.retrieval import RetrievalResult
from rspnet_platform import storage
from rspnet_platform.command_line import say
from rspnet_platform.inference.retrieval_evaluation import (
    RANDOM_PREFIX,
    TRAINED,
    LabelledVideos,
    evaluate_retrieval,
    retrieval_metrics,
)
from rspnet_platform.ingest.audit.formats import shorten
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.shards.packet_reader import DamagedVideoError
from rspnet_platform.stream.frame_readers import FrameReader, frame_reader
from rspnet_platform.visualise.chosen_videos import ChosenVideo, choose_among, read_videos, say_left_out, videos_at
from rspnet_platform.visualise.frozen_features import FrozenFeatures, frozen_features
from rspnet_platform.visualise.nearest_videos import Neighbour, Search, check_num_nearest, find_neighbours
from rspnet_platform.visualise.part_configs import GalleryConfig
from rspnet_platform.visualise.thumbnails import Thumbnail, make_thumbnail

PAGE_NAME = "gallery.html"
SHOWN_RANDOM = f"{RANDOM_PREFIX}0"
MAX_TEXT_LENGTH, MAX_NAME_LENGTH = 120, 24


@dataclass(frozen=True, kw_only=True)
class GalleryPage:
    """All that the page shows. `found`: of each encoder that has a row, by its heading, the queries' neighbours."""

    title: str
    model: str
    stamp: str
    setting: str
    num_queries: int
    num_gallery: int
    numbers: Sequence[tuple[str, str, str]]
    queries: Sequence[ChosenVideo]
    found: Mapping[str, Mapping[int, Sequence[Neighbour]]]
    videos: Mapping[int, ChosenVideo]
    thumbnails: Mapping[int, Thumbnail]


def draw_gallery(config: GalleryConfig) -> dict[str, Any]:
    """Writes the page and returns what is on it. ValueError for a data set without labels, or with fewer videos in its
    gallery than are to be shown."""
    dataset = open_dataset(config.data.shards, config.data.version)
    labelled = LabelledVideos.from_dataset(dataset)
    if labelled is None:
        raise ValueError(
            f"the data set {dataset.uri} cannot be searched: it needs labels, and where there are splits, labelled "
            "videos in both train and test"
        )
    num_others = len(labelled.labels) - 1 if labelled.is_query is None else int((~labelled.is_query).sum())
    check_num_nearest(config.num_nearest, num_others)  # before hours of embedding
    output = storage.resolve_uri(config.output)
    frozen = frozen_features(
        dataset,
        labelled.video_indices,
        model=config.model,
        protocol=config.protocol,
        tracking=config.tracking,
        decoder=config.data.decoder,
        output=output,
    )
    results = evaluate_retrieval(labelled, frozen.features, frozen.protocol)
    page = _page(config, dataset, labelled, frozen, results)
    content = render_gallery(page)
    storage.write_bytes(storage.join(output, PAGE_NAME), content.encode())
    say(f"look at it: {storage.join(output, PAGE_NAME)}")
    return {
        "part": "gallery",
        "output": output,
        "files": [PAGE_NAME],
        "num_bytes": len(content),
        "model": frozen.model.reference,
        "protocol": f"{frozen.stamp}; {labelled.setting}",
        "num_damaged": frozen.num_damaged,
        "num_queries_shown": len(page.queries),
        "metrics": retrieval_metrics(results),
        "nearest": {query.video_id: _as_json(page, query) for query in page.queries},
    }


def _page(
    config: GalleryConfig,
    dataset: ShardedDataset,
    labelled: LabelledVideos,
    frozen: FrozenFeatures,
    results: Mapping[str, RetrievalResult],
) -> GalleryPage:
    search = Search.of(labelled, frozen.features)
    found = {
        heading: find_neighbours(search, frozen.features, name, frozen.protocol, config.num_nearest)
        for heading, name in (("this model", TRAINED), ("random initialisation", SHOWN_RANDOM))
    }
    queries = choose_among(dataset, search.queries, config.num_queries, config.seed)
    shown = {each.video_index for each in queries} | {
        neighbour.video_index
        for of_encoder in found.values()
        for query in queries
        for neighbour in of_encoder[query.video_index]
    }
    videos = {video.video_index: video for video in videos_at(dataset, sorted(shown))}
    return GalleryPage(
        title=dataset.uri.rsplit("/", 1)[-1],
        model=frozen.model.reference,
        stamp=frozen.stamp,
        setting=labelled.setting,
        num_queries=len(search.queries),
        num_gallery=len(search.gallery) - search.excludes_self,
        numbers=number_rows(results),
        queries=queries,
        found=found,
        videos=videos,
        thumbnails=_thumbnails(dataset, list(videos.values()), frame_reader(dataset.description, config.data.decoder)),
    )


def number_rows(results: Mapping[str, RetrievalResult]) -> list[tuple[str, str, str]]:
    """Over all queries, shown or not: top-k, of the model, and mean and standard deviation of random encoders."""
    metrics = retrieval_metrics(results)
    rows = []
    for k in results[TRAINED].accuracy:
        mean, std = (metrics[f"validation/random_retrieval_top{k}_{part}"] for part in ("mean", "std"))
        rows.append((f"top-{k}", f"{metrics[f'validation/retrieval_top{k}']:.1%}", f"{mean:.1%} ± {std:.1%}"))
    return rows


def _thumbnails(dataset: ShardedDataset, videos: Sequence[ChosenVideo], reader: FrameReader) -> dict[int, Thumbnail]:
    """Of a video that cannot be read there is none, and the page says so in its place."""
    thumbnails = {}
    for video, encoded in read_videos(dataset, videos):
        try:
            thumbnails[video.video_index] = make_thumbnail(encoded, reader)
        except DamagedVideoError as error:
            say_left_out(video, error)
    return thumbnails


def render_gallery(page: GalleryPage) -> str:
    """HTML that loads nothing and runs nothing; names and labels come from strangers, and all are escaped."""
    environment = Environment(
        loader=PackageLoader("rspnet_platform.visualise", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["short"] = lambda text: shorten(text, MAX_TEXT_LENGTH)
    environment.filters["name"] = lambda text: shorten(text, MAX_NAME_LENGTH)
    return environment.get_template("gallery.html.jinja").render(page=page)


def _as_json(page: GalleryPage, query: ChosenVideo) -> dict[str, list[dict[str, Any]]]:
    return {
        heading: [
            {"video_id": page.videos[each.video_index].video_id, "cosine": each.cosine, "is_hit": each.is_hit}
            for each in neighbours[query.video_index]
        ]
        for heading, neighbours in page.found.items()
    }
