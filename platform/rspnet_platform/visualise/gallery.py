"""Queries with their nearest videos as moving thumbnails, beside what a random initialisation finds."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from markupsafe import Markup

from rspnet_platform import storage
from rspnet_platform.command_line import say
from rspnet_platform.cpu_threads import num_cores_for_one_of
from rspnet_platform.inference.retrieval_evaluation import (
    LabelledVideos,
    evaluate_retrieval,
    retrieval_metrics,
)
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.shards.packet_reader import DamagedVideoError
from rspnet_platform.shards.row_groups import EncodedVideo
from rspnet_platform.stream.data_config import Decoder
from rspnet_platform.stream.frame_readers import FrameReader, frame_reader
from rspnet_platform.visualise.chosen_videos import ChosenVideo, choose_among, read_videos, say_left_out, videos_at
from rspnet_platform.visualise.frozen_features import SHOWN_ENCODERS, FrozenFeatures, frozen_features
from rspnet_platform.visualise.nearest_videos import Neighbour, Search, check_num_nearest, find_neighbours
from rspnet_platform.visualise.page_shell import Section, render_fragment, render_shell
from rspnet_platform.visualise.part_configs import GalleryConfig
from rspnet_platform.visualise.retrieval_table import render_retrieval_table, retrieval_table
from rspnet_platform.visualise.thumbnails import Thumbnail, make_thumbnail
from rspnet_platform.waiting_bar import waiting_bar

PAGE_NAME = "gallery.html"


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """All that is shown. `found`: of each encoder that has a row, by its heading, the queries' neighbours."""

    num_queries: int
    num_gallery: int
    queries: Sequence[ChosenVideo]
    found: Mapping[str, Mapping[int, Sequence[Neighbour]]]
    videos: Mapping[int, ChosenVideo]
    thumbnails: Mapping[int, Thumbnail]
    is_labelled: bool = True


def draw_gallery(config: GalleryConfig) -> dict[str, Any]:
    """Writes the page and returns what is on it. ValueError for a data set without labels, or with fewer videos in its
    gallery than are to be shown."""
    dataset = open_dataset(config.data.shards, config.data.version)
    labelled = labelled_videos(dataset)
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
    gallery = make_gallery(
        dataset,
        Search.of(labelled, frozen.features),
        frozen,
        num_queries=config.num_queries,
        num_nearest=config.num_nearest,
        seed=config.seed,
        decoder=config.data.decoder,
    )
    protocol = f"{frozen.stamp}; {labelled.setting}"
    table = render_retrieval_table(retrieval_table(results, protocol))
    content = render_page(dataset.uri.rsplit("/", 1)[-1], frozen.model, table, gallery)
    storage.write_bytes(storage.join(output, PAGE_NAME), content.encode())
    say(f"look at it: {storage.join(output, PAGE_NAME)}")
    return {
        "part": "gallery",
        "output": output,
        "files": [PAGE_NAME],
        "num_bytes": len(content),
        "model": frozen.model,
        "protocol": protocol,
        "num_damaged": frozen.num_damaged,
        "num_queries_shown": len(gallery.queries),
        "metrics": retrieval_metrics(results),
        "nearest": {query.video_id: _as_json(gallery, query) for query in gallery.queries},
    }


def labelled_videos(dataset: ShardedDataset) -> LabelledVideos:
    """Raises ValueError where there are too few."""
    labelled = LabelledVideos.from_dataset(dataset)
    if labelled is None:
        raise ValueError(
            f"the data set {dataset.uri} cannot be searched: it needs labels, and where there are splits, labelled "
            "videos in both train and test"
        )
    return labelled


def make_gallery(
    dataset: ShardedDataset,
    search: Search,
    frozen: FrozenFeatures,
    *,
    num_queries: int,
    num_nearest: int,
    seed: int,
    decoder: Decoder | None,
) -> Gallery:
    """Queries drawn by the seed, one of each class in turn. Raises ValueError for too small a gallery."""
    found = {
        heading: find_neighbours(search, frozen.features, name, frozen.protocol, num_nearest)
        for heading, name in SHOWN_ENCODERS.items()
    }
    queries = choose_among(dataset, search.queries, num_queries, seed)
    shown = {each.video_index for each in queries} | {
        neighbour.video_index
        for of_encoder in found.values()
        for query in queries
        for neighbour in of_encoder[query.video_index]
    }
    videos = {video.video_index: video for video in videos_at(dataset, sorted(shown))}
    return Gallery(
        num_queries=len(search.queries),
        num_gallery=search.num_others,
        queries=queries,
        found=found,
        videos=videos,
        thumbnails=_thumbnails(dataset, list(videos.values()), frame_reader(dataset.description, decoder)),
        is_labelled=search.query_labels is not None,
    )


def _thumbnails(dataset: ShardedDataset, videos: Sequence[ChosenVideo], reader: FrameReader) -> dict[int, Thumbnail]:
    """Of a video that cannot be read there is none, and the page says so in its place."""

    def make(read: tuple[ChosenVideo, EncodedVideo]) -> tuple[ChosenVideo, Thumbnail | DamagedVideoError]:
        try:
            return read[0], make_thumbnail(read[1], reader)
        except DamagedVideoError as error:
            return read[0], error

    thumbnails, num_cores, read = {}, num_cores_for_one_of(1), read_videos(dataset, videos)
    bar = waiting_bar("thumbnails", "video", total=len(videos), num_left=len(videos))
    with ThreadPoolExecutor(num_cores) as pool, bar:
        # In groups: each video that is read holds on to its whole row group.
        groups = iter(lambda: list(islice(read, num_cores)), [])
        for video, thumbnail in chain.from_iterable(pool.map(make, group) for group in groups):
            bar.update()
            if isinstance(thumbnail, DamagedVideoError):
                say_left_out(video, thumbnail)
            else:
                thumbnails[video.video_index] = thumbnail
    return thumbnails


def render_gallery(gallery: Gallery) -> Markup:
    return render_fragment("gallery.html.jinja", page=gallery)


def render_page(title: str, model: str, table: Markup, gallery: Gallery) -> str:
    header = Markup("<p><bdi>{}</bdi> beside the same encoder randomly initialised.</p>").format(model)
    section = Section(name="gallery", title="Nearest videos", content=table + render_gallery(gallery))
    return render_shell(overline="Nearest videos", title=title, sections=[section], header=header)


def _as_json(gallery: Gallery, query: ChosenVideo) -> dict[str, list[dict[str, Any]]]:
    return {
        heading: [
            {"video_id": gallery.videos[each.video_index].video_id, "cosine": each.cosine, "is_hit": each.is_hit}
            for each in neighbours[query.video_index]
        ]
        for heading, neighbours in gallery.found.items()
    }
