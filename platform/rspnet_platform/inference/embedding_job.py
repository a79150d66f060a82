"""Every video of a data set through a frozen encoder, into Parquet files; what is finished stays finished."""

import sys
from typing import Any

import numpy as np
from tqdm import tqdm

from rspnet_platform import runtime, storage
from rspnet_platform.command_line import say
from rspnet_platform.home import default_home
from rspnet_platform.inference.embedding_actor import embedding_batches, num_videos_per_block, plan_embedding
from rspnet_platform.inference.embedding_clips import embedding_recipe
from rspnet_platform.inference.embedding_config import EmbedConfig
from rspnet_platform.inference.embedding_parts import EmbeddingParts, PartsLeft, in_parts
from rspnet_platform.inference.embedding_request import EmbeddingRequest
from rspnet_platform.inference.model_reference import LoadedModel, load_model
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.stream.clip_dataset import clip_dataset
from rspnet_platform.stream.clip_decoding import SampleRecipe
from rspnet_platform.stream.damage import with_video_ids
from rspnet_platform.stream.splits import select_videos
from rspnet_platform.stream.stream_plan import VideoLocations
from rspnet_platform.tracking.redaction import redact
from rspnet_platform.tracking.tracking_config import resolve_tracking_uri
from rspnet_platform.train.failure_notice import storage_error_in


def embed(config: EmbedConfig) -> dict[str, Any]:
    """Embeds, or goes on where the same command was interrupted. Returns what the job prints.

    Raises ValueError for what does not exist or does not fit, before Ray starts, and for an output that holds
    embeddings of another model, data set or kind.
    """
    dataset = open_dataset(config.data, config.version)
    video_indices = select_videos(dataset, config.split)
    model = load_model(config.model, resolve_tracking_uri(config.tracking, default_home()))
    request = EmbeddingRequest.of(config, model, dataset)
    recipe = embedding_recipe(request.input, dataset.description, num_crops=config.num_crops, decoder=config.decoder)
    parts = EmbeddingParts.plan(
        storage.resolve_uri(config.output),
        dataset,
        video_indices,
        num_videos_per_part=config.num_videos_per_part,
        feature_dim=model.card.feature_dim,
        request_sha256=request.sha256,
    )
    told = told_of(model, dataset, recipe)
    is_complete = request.begin(parts.output, told)
    if left := parts.unfinished():
        embed_parts(config, model, parts, left, recipe, request)
    damaged = damaged_videos(parts)
    num_videos = len(video_indices) - len(damaged)
    if not num_videos:
        raise ValueError(f"none of the {len(video_indices)} videos can be embedded: see {parts.damage.uri}")
    if left or not is_complete:
        request.finish(parts.output, told, damaged, num_videos)
    if damaged:
        say(f"{len(damaged)} of {len(video_indices)} videos are damaged and have no embedding")
    return {
        "num_videos": num_videos,
        "num_damaged": len(damaged),
        "output": redact(parts.output),
        "model": model.reference,
        "model_sha256": model.sha256,
        "feature_dim": model.card.feature_dim,
        "num_parts": len(parts.members),
        "num_parts_already_there": len(parts.members) - len(left),
    }


def told_of(model: LoadedModel, dataset: ShardedDataset, recipe: SampleRecipe) -> dict[str, Any]:
    """What a reader of the embeddings wants to know, and that decides nothing."""
    return {
        "model": model.reference,
        "method": model.card.method,
        "dataset": redact(dataset.uri),
        "dataset_version": dataset.description.version,
        "reader": recipe.reader.decoder,
    }


def embed_parts(
    config: EmbedConfig,
    model: LoadedModel,
    parts: EmbeddingParts,
    left: list[int],
    recipe: SampleRecipe,
    request: EmbeddingRequest,
) -> None:
    """On Ray, the unfinished parts in their order."""
    members = [parts.members[part] for part in left]
    plan = PartsLeft(
        dataset_uri=parts.dataset.uri,
        locations=VideoLocations.from_dataset(parts.dataset),
        members=members,
        num_rows_per_block=num_videos_per_block(recipe),
    )
    runtime.connect()
    try:
        cpus, gpus = runtime.cluster_resources()
        resources, budget = plan_embedding(
            cluster_cpus=cpus,
            cluster_gpus=gpus,
            cpus_per_decode_task=config.cpus_per_decode_task,
            use_gpu=config.use_gpu,
            num_actors=config.num_actors,
            num_videos=plan.num_samples_left,
        )
        say(f"the cluster's share of this embedding:\n{budget.table()}")
        clips = clip_dataset(plan, recipe, parts.damage, cpus_per_decode_task=config.cpus_per_decode_task)
        batches = embedding_batches(clips, {"embedding": model.encoder}, request.input, resources)
        with progress_bar(sum(map(len, parts.members)), plan.num_samples_left) as bar:
            for part, indices, embeddings in in_parts(batches, left, members, "embedding"):
                parts.write(part, indices, embeddings)
                bar.update(len(parts.members[part]))
    except Exception as error:
        if (storage_error := storage_error_in([error])) is not None:
            raise storage_error from error
        raise
    finally:
        runtime.disconnect()


def damaged_videos(parts: EmbeddingParts) -> list[dict[str, Any]]:
    """Those that none of the finished parts has: video_index, video_id, error."""
    embedded = np.concatenate([parts.embedded_in(part) for part in range(len(parts.members))])
    missing = set(np.concatenate(parts.members).tolist()) - set(embedded.tolist())
    entries = [entry for entry in parts.damage.entries() if entry["video_index"] in missing]
    return [
        {name: entry[name] for name in ("video_index", "video_id", "error")}
        for entry in with_video_ids(entries, parts.dataset.videos)
    ]


def progress_bar(num_videos: int, num_left: int) -> tqdm:
    """On a terminal a bar, elsewhere a line now and then; what was done before counts as done and not as fast."""
    interval = 0.5 if sys.stderr.isatty() else 15.0
    return tqdm(
        desc="embedding",
        unit="video",
        total=num_videos,
        initial=num_videos - num_left,
        mininterval=interval,
        maxinterval=2 * interval,
        file=sys.stderr,
        dynamic_ncols=True,
    )
