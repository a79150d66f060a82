"""Every video of a data set through a frozen encoder, into Parquet files; what is finished stays finished."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rspnet_platform import runtime, storage
from rspnet_platform.command_line import say
from rspnet_platform.home import default_home
from rspnet_platform.inference.embedding_actor import (
    EmbeddingResources,
    embedding_batches,
    num_videos_per_block,
    plan_embedding,
)
from rspnet_platform.inference.embedding_clips import embedding_recipe
from rspnet_platform.inference.embedding_config import EmbedConfig
from rspnet_platform.inference.embedding_parts import EMBEDDING, EmbeddingParts
from rspnet_platform.inference.embedding_request import EmbeddingRequest
from rspnet_platform.inference.model_reference import LoadedModel, load_model
from rspnet_platform.inference.video_parts import VIDEO_INDEX, PartsLeft, in_parts
from rspnet_platform.lease import leased
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.stream.clip_dataset import clip_dataset
from rspnet_platform.stream.clip_decoding import SampleRecipe
from rspnet_platform.stream.damage import with_video_ids
from rspnet_platform.stream.splits import select_videos
from rspnet_platform.stream.stream_plan import VideoLocations
from rspnet_platform.tracking.redaction import redact
from rspnet_platform.tracking.tracking_config import resolve_tracking_uri
from rspnet_platform.train.failure_notice import storage_error_in
from rspnet_platform.waiting_bar import waiting_bar

NO_VECTORS = np.zeros((0, 0), np.float32)


def embed(config: EmbedConfig) -> dict[str, Any]:
    """Embeds, or goes on where the same command was interrupted. Returns what the job prints.

    Raises ValueError for what does not exist or does not fit, before Ray starts, and for an output that holds
    embeddings of another model, data set or kind.
    """
    embedding = Embedding.settle(config)
    with leased(embedding.parts.output):
        embedding = embedding.begin()
        if embedding.left:
            runtime.connect()
            try:
                embedding.compute()
            finally:
                runtime.disconnect()
        return embedding.finish()


@dataclass(frozen=True, kw_only=True)
class Embedding:
    """All of one embedding that is settled before Ray starts. `left` are the parts that are to be computed, once it has
    begun."""

    config: EmbedConfig
    model: LoadedModel
    dataset: ShardedDataset
    request: EmbeddingRequest
    recipe: SampleRecipe
    parts: EmbeddingParts
    left: tuple[int, ...] = ()

    @classmethod
    def settle(cls, config: EmbedConfig) -> "Embedding":
        """Opens everything. With the errors of `embed`."""
        dataset = open_dataset(config.data, config.version)
        video_indices = select_videos(dataset, config.split)
        model = load_model(config.model, resolve_tracking_uri(config.tracking, default_home()))
        request = EmbeddingRequest.of(config, model, dataset)
        recipe = embedding_recipe(
            request.input, dataset.description, num_crops=config.num_crops, decoder=config.decoder
        )
        parts = EmbeddingParts.plan(
            storage.resolve_uri(config.output),
            dataset,
            video_indices,
            num_videos_per_part=config.num_videos_per_part,
            feature_dim=model.card.feature_dim,
            request_sha256=request.sha256,
        )
        request.check(parts.output)
        return cls(
            config=config,
            model=model,
            dataset=dataset,
            request=request,
            recipe=recipe,
            parts=parts,
        )

    def begin(self) -> "Embedding":
        """Finds what is left, now that nobody else writes it, and enters the request in the output. With the errors of
        `embed`."""
        self.request.check(self.parts.output)
        left = tuple(self.parts.unfinished())
        if left:
            self.request.begin(self.parts.output, told_of(self.model, self.dataset, self.recipe))
        return replace(self, left=left)

    def compute(self) -> None:
        """The unfinished parts in their order, on the Ray that this process is connected to. StorageError where a store
        stays away, BudgetError where the cluster is too small."""
        members = [self.parts.members[part] for part in self.left]
        plan = PartsLeft(
            dataset_uri=self.dataset.uri,
            locations=VideoLocations.from_dataset(self.dataset),
            members=members,
            num_rows_per_block=num_videos_per_block(self.recipe),
        )
        resources = self._resources(plan.num_samples_left)
        clips = clip_dataset(
            plan, self.recipe, self.parts.damage, cpus_per_decode_task=self.config.cpus_per_decode_task
        )
        batches = embedding_batches(clips, {EMBEDDING: self.model.encoder}, self.request.input, resources)
        try:
            with waiting_bar(
                "embedding", "video", total=sum(map(len, self.parts.members)), num_left=plan.num_samples_left
            ) as bar:
                for part, rows in in_parts(batches, self.left, members):
                    self.parts.write(part, rows[VIDEO_INDEX], rows.get(EMBEDDING, NO_VECTORS))
                    bar.update(len(self.parts.members[part]))
        except Exception as error:
            if (storage_error := storage_error_in([error])) is not None:
                raise storage_error from error
            raise

    def _resources(self, num_videos: int) -> EmbeddingResources:
        cpus, gpus = runtime.cluster_resources()
        resources, budget = plan_embedding(
            cluster_cpus=cpus,
            cluster_gpus=gpus,
            cpus_per_decode_task=self.config.cpus_per_decode_task,
            use_gpu=self.config.use_gpu,
            num_actors=self.config.num_actors,
            num_videos=num_videos,
        )
        say(f"the cluster's share of this embedding:\n{budget.table()}")
        return resources

    def finish(self) -> dict[str, Any]:
        """Reads what has been written, says what is missing, and what the job prints."""
        damaged = damaged_videos(self.parts)
        num_asked = sum(map(len, self.parts.members))
        if len(damaged) == num_asked:
            raise ValueError(f"none of the {num_asked} videos can be embedded: see {self.parts.damage.uri}")
        if damaged:
            say(f"{len(damaged)} of {num_asked} videos are damaged and have no embedding")
        storage.delete_partial_files(self.parts.output)  # of runs of this command that were killed as they wrote
        told = told_of(self.model, self.dataset, self.recipe)
        self.request.finish(self.parts.output, told, damaged, num_asked - len(damaged))
        return {
            "num_videos": num_asked - len(damaged),
            "num_damaged": len(damaged),
            "output": redact(self.parts.output),
            "model": self.model.reference,
            "model_sha256": self.model.sha256,
            "feature_dim": self.model.card.feature_dim,
            "num_parts": len(self.parts.members),
            "num_parts_already_there": len(self.parts.members) - len(self.left),
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


def damaged_videos(parts: EmbeddingParts) -> list[dict[str, Any]]:
    """Those that none of the finished parts has: video_index, video_id, error."""
    embedded = np.concatenate([parts.embedded_in(part) for part in range(len(parts.members))])
    missing = set(np.concatenate(parts.members).tolist()) - set(embedded.tolist())
    entries = [entry for entry in parts.damage.entries() if entry["video_index"] in missing]
    return [
        {name: entry[name] for name in ("video_index", "video_id", "error")}
        for entry in with_video_ids(entries, parts.dataset.videos)
    ]
