"""What a run's encoder is worth at its end, as metrics, as a table, and with the protocol that made the numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_core.evaluation.retrieval import RetrievalResult
from rspnet_platform.config import PretrainConfig
from rspnet_platform.inference.dataset_features import DatasetFeatures, embed_dataset
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.inference.retrieval_evaluation import (
    LabelledVideos,
    encoders_beside_random,
    evaluate_retrieval,
    retrieval_metrics,
)
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.damage import DamageLedger


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """`features` and the videos that they are of are kept for pictures; None where nothing was evaluated."""

    protocol: str
    results: Mapping[str, RetrievalResult]
    metrics: Mapping[str, float]
    labelled: LabelledVideos | None = None
    features: DatasetFeatures | None = None

    def table(self) -> str:
        """Top-k of each encoder, for a person."""
        if not self.results:
            return self.protocol
        ks = list(next(iter(self.results.values())).accuracy)
        lines = [
            f"retrieval, {self.protocol}",
            f"  {'encoder':<12}" + "".join(f"{f'top-{k}':>9}" for k in ks),
        ]
        for name, result in self.results.items():
            lines.append(f"  {name:<12}" + "".join(f"{result.accuracy[k]:>9.1%}" for k in ks))
        return "\n".join(lines)


def evaluate_run(
    dataset: ShardedDataset,
    encoder: VideoEncoder,
    config: PretrainConfig,
    encoder_input: EncoderInput,
    *,
    damage: DamageLedger,
    use_gpu: bool,
) -> Evaluation:
    """Retrieval of the trained encoder beside random ones; nothing, and a reason, for a data set without labels."""
    labelled = LabelledVideos.from_dataset(dataset)
    if labelled is None:
        return Evaluation(
            protocol="not evaluated: retrieval needs labels, and where there are splits, both train and test",
            results={},
            metrics={},
        )
    evaluation = config.evaluation
    features = embed_dataset(
        dataset,
        labelled.video_indices,
        encoders_beside_random(encoder, config.task.encoder, evaluation.num_random_encoders),
        encoder_input,
        damage=damage,
        cpus_per_decode_task=config.scaling.cpus_per_decode_task,
        use_gpu=use_gpu,
        decoder=config.data.decoder,
    )
    protocol = evaluation.retrieval_protocol
    results = evaluate_retrieval(labelled, features, protocol)
    description = f"{protocol.name} ({protocol.stamp}; stride {encoder_input.frame_stride}); {labelled.setting}"
    return Evaluation(
        protocol=description,
        results=results,
        metrics=retrieval_metrics(results),
        labelled=labelled,
        features=features,
    )
