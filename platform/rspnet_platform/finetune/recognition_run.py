"""One fine-tuning run, of one seed on one data set: what it reads, and where it keeps what."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rspnet_core.recognition.clip_samplers import EvaluationClipSampler
from rspnet_core.recognition.recognition import Recognition
from rspnet_core.recognition.square_crops import NumCrops
from rspnet_platform import storage
from rspnet_platform.finetune.finetune_config import FinetuneConfig
from rspnet_platform.finetune.recognition_loop_task import RecognitionLoopTask
from rspnet_platform.finetune.recognition_videos import RecognitionVideos
from rspnet_platform.finetune.scoring import VideoProbabilities, score_videos
from rspnet_platform.inference.unread_videos import check_unread, unread_videos
from rspnet_platform.run import Run
from rspnet_platform.stream.training_dataset import TrainingStream
from rspnet_platform.train.launch import plan_stream
from rspnet_platform.train.requirements import check_requirements, check_shortest_video


@dataclass(frozen=True, kw_only=True)
class RecognitionRun:
    run: Run[FinetuneConfig]
    videos: RecognitionVideos
    stream: TrainingStream
    weights_uri: str | None
    """Of the encoder that it begins from; none for one that the run draws itself."""

    @property
    def epochs_uri(self) -> str:
        return storage.join(self.run.uri, "epochs")

    @property
    def classifier_uri(self) -> str:
        return storage.join(self.run.uri, "classifier.safetensors")

    @property
    def result_uri(self) -> str:
        return storage.join(self.run.uri, "result.json")

    @property
    def loop_task(self) -> RecognitionLoopTask:
        return RecognitionLoopTask(
            class_of_video=self.videos.class_of_video,
            weights_uri=self.weights_uri,
            epochs_uri=self.epochs_uri if len(self.videos.validation) else None,
            num_videos_per_epoch=len(self.videos.train),
        )

    def score(
        self,
        video_indices: np.ndarray,
        networks: Mapping[str, Recognition],
        *,
        num_clips_per_crop: int,
        num_crops: NumCrops,
        use_gpu: bool,
    ) -> VideoProbabilities:
        """Raises ValueError where more of these videos are damaged than `data.max_damaged_fraction` allows."""
        scored = score_videos(
            self.run.dataset,
            video_indices,
            networks,
            self.run.config.task,
            num_clips_per_crop=num_clips_per_crop,
            num_crops=num_crops,
            reader=self.stream.recipe.reader,
            damage=self.stream.damage,
            cpus_per_decode_task=self.run.config.scaling.cpus_per_decode_task,
            use_gpu=use_gpu,
        )
        check_unread(
            self.run.dataset,
            unread_videos(self.run.dataset, video_indices, scored.video_indices, self.stream.damage),
            num_asked=len(video_indices),
            max_damaged_fraction=self.run.config.data.max_damaged_fraction,
        )
        return scored


def plan_run(run: Run[FinetuneConfig], videos: RecognitionVideos, weights_uri: str | None) -> RecognitionRun:
    """Raises ValueError for what cannot be trained or tested, before anything has started."""
    config = run.config
    stream = plan_stream(config, run.dataset, run.uri, videos.train)
    check_requirements(config, run.dataset, stream)
    held_out = np.concatenate([videos.validation, videos.test])
    check_shortest_video(run.dataset, held_out, EvaluationClipSampler(training=config.task.clips))
    return RecognitionRun(run=run, videos=videos, stream=stream, weights_uri=weights_uri)
