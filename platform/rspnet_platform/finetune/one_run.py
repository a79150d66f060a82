"""One run from its first step to its number on the test videos; what has been done is not done again."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rspnet_core.recognition.scores import RecognitionScores, score
from rspnet_platform import storage
from rspnet_platform.command_line import say
from rspnet_platform.config import flatten
from rspnet_platform.finetune.recognition_loop_task import read_weights
from rspnet_platform.finetune.recognition_run import RecognitionRun
from rspnet_platform.finetune.selection import Choice, choose, log_choice, network_with
from rspnet_platform.pretraining import log_damage, train
from rspnet_platform.publishing import final_checkpoint
from rspnet_platform.report.run_end import finetuning_report_at_end
from rspnet_platform.run import begin, closing_run_on_failure, send_unsent_metrics
from rspnet_platform.tracking import runs
from rspnet_platform.train.checkpoints import load_data_state
from rspnet_platform.train.launch import WorkerResources
from rspnet_platform.train.run_record import RunRecord


def finished_result(run: RecognitionRun) -> dict[str, Any] | None:
    """That of a run that has finished. Raises ValueError where it has begun with another config or data set."""
    record = RunRecord.load(run.run.uri)
    if record is None:
        return None
    # As of a run that goes on: a finished one with this very config is what was asked for.
    record.at("trained").check_resumable(
        run_uri=run.run.uri, dataset_sha256=run.run.dataset_sha256, config=flatten(run.run.config)
    )
    return storage.read_json(run.result_uri) if record.stage == "finished" else None


def finish_run(run: RecognitionRun, resources: WorkerResources, tags: Mapping[str, str]) -> dict[str, Any]:
    """Trains, chooses the epoch, tests. Needs a connected Ray. Returns the run's part of what the job prints."""
    record = begin(run.run, RunRecord.load(run.run.uri), tags)
    with closing_run_on_failure(run.run, record):
        if record.stage == "training":
            train(run.run, record, run.stream, resources, run.loop_task)
            record = record.at("trained")
            record.save(run.run.uri)
        choice = choose(run, use_gpu=resources.use_gpu)
        log_choice(run, choice, record.mlflow_run_id)
        scores = test_scores(run, use_gpu=resources.use_gpu)
        result = result_of(run, record, choice, scores)
        report(run, record, scores, result)
        storage.write_json(run.result_uri, result)
        send_unsent_metrics(run.run, record)
        runs.end_run(run.run.tracking_uri, record.mlflow_run_id, "FINISHED")
        if run.run.config.run.report:
            result |= finetuning_report_at_end(run.run, record.at("finished"))
            storage.write_json(run.result_uri, result)
        record.at("finished").save(run.run.uri)  # last: until then the same command does what is missing
    say(f"{run.run.name}: top-1 {scores.top1:.1%} on {scores.num_videos} videos ({result['protocol']})")
    return result


def test_scores(run: RecognitionRun, *, use_gpu: bool) -> RecognitionScores:
    """Of the chosen weights on the test videos; damaged ones are left out, counted and listed."""
    test = run.run.config.test
    scored = run.score(
        run.videos.test,
        {"chosen": network_with(run, read_weights(run.classifier_uri))},
        num_clips_per_crop=test.num_clips_per_crop,
        num_crops=test.num_crops,
        use_gpu=use_gpu,
    )
    return score(scored.probabilities["chosen"], run.videos.class_of_video[scored.video_indices])


def result_of(run: RecognitionRun, record: RunRecord, choice: Choice, scores: RecognitionScores) -> dict[str, Any]:
    config, train_classes = run.run.config, run.videos.class_of_video[run.videos.train]
    test_classes = run.videos.class_of_video[run.videos.test]
    metrics = {
        "finetune/test_top1": scores.top1,
        "finetune/test_top5": scores.top5,
        "finetune/test_mean_class_accuracy": scores.mean_class_accuracy,
        "finetune/test_top1_of_most_frequent_class": float(
            (test_classes == np.bincount(train_classes).argmax()).mean()
        ),
        "finetune/validation_top1": choice.validation_top1,
        "finetune/chosen_epoch": config.training.num_epochs if choice.epoch is None else choice.epoch,
        "finetune/num_test_videos": scores.num_videos,
        "data/num_damaged_videos": run.stream.damage.count(),
    }
    return {
        "run_id": record.mlflow_run_id,
        "run_name": run.run.name,
        "seed": config.training.seed,
        "dataset": run.run.dataset.uri,
        "num_steps": load_data_state(final_checkpoint(run.run)).step,
        "metrics": {name: value for name, value in metrics.items() if value is not None},
        "protocol": protocol(run),
        "storage": run.run.uri,
    }


def protocol(run: RecognitionRun) -> str:
    """What the number stands for, without what differs between the runs of one name."""
    config, videos = run.run.config, run.videos
    task, test, clips = config.task, config.test, config.task.clips
    frames = "over the whole video" if clips.placement == "cover" else f"at stride {clips.frame_stride}"
    chosen = "last epoch"
    if len(videos.validation):
        chosen = (
            f"best of {config.training.num_epochs} epochs on {config.validation.fraction:g} of {config.data.split}, "
            f"put aside by source, {config.validation.num_clips_per_crop} clips"
        )
    return (
        f"{test.num_clips_per_crop} clips x {test.num_crops} crops of {clips.num_frames_per_clip} frames {frames}, "
        f"{task.view.crop_size} x {task.view.crop_size}, mean of softmax; {chosen}; trained {task.trainable}, "
        f"batch norm {task.batch_norm}; {len(videos.class_names)} classes, trained on {config.data.split}, tested on "
        f"{test.split}"
    )


def report(run: RecognitionRun, record: RunRecord, scores: RecognitionScores, result: Mapping[str, Any]) -> None:
    """Into the run in MLflow."""
    tracking_uri, run_id, names = run.run.tracking_uri, record.mlflow_run_id, run.videos.class_names
    runs.log_metrics_once(tracking_uri, run_id, result["num_steps"], result["metrics"])
    runs.set_tags(tracking_uri, run_id, {"protocol": result["protocol"]})
    accuracy = {
        name: None if np.isnan(share) else float(share)
        for name, share in zip(names, scores.class_accuracy, strict=True)
    }
    runs.log_json(tracking_uri, run_id, accuracy, "class_accuracy.json")
    confusion = {
        "classes": names,
        "rows": "true class",
        "columns": "predicted",
        "num_videos": scores.confusion.tolist(),
    }
    runs.log_json(tracking_uri, run_id, confusion, "confusion_matrix.json")
    log_damage(run.stream.damage, run.run, record)
