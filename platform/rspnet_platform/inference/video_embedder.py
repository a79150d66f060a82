"""Video files in, one embedding each out: frames, crops and colours as in training and evaluation."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rspnet_core.augmentation import to_clips
from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_core.evaluation.features import embed_videos
from rspnet_core.sampling.clip_plan import ClipPlan, ClipSampler, VideoInfo
from rspnet_core.sampling.views import centre_crop, identity_numbers
from rspnet_platform.inference.encoder_card import EncoderCard, EncoderInput
from rspnet_platform.shards.i420 import picture_planes
from rspnet_platform.stream.crops import crop_and_resize
from rspnet_platform.videos.refusal_reasons import VideoRefusedError
from rspnet_platform.videos.sequential_decoding import OpenedVideo, open_video

Video = str | bytes | os.PathLike[str]
OpenFrames = Callable[[], AbstractContextManager[OpenedVideo]]
Frames = Mapping[int, np.ndarray]
MAX_FRAMES_IN_MEMORY = 4096
"""Some 130 MB at short side 128; a longer video is decoded twice instead of being kept."""


class VideoEmbedder:
    """An encoder and its card, at work on the device that the encoder is on; leaves its mode as it was."""

    def __init__(self, encoder: VideoEncoder, card: EncoderCard) -> None:
        if encoder.feature_dim != card.feature_dim:
            raise ValueError(
                f"the card has feature_dim {card.feature_dim}, encoder {card.encoder!r} {encoder.feature_dim}"
            )
        self._encoder = encoder
        self._card = card

    def embed(self, videos: Sequence[Video]) -> np.ndarray:
        """float32 [num_videos, feature_dim]: the mean over each video's clips, not normalised.

        A video is a path or the bytes of a file. Raises ValueError, which names the video, if it cannot be
        decoded or is too short under the card's past_the_end "reject"; FileNotFoundError if it is missing.
        """
        embeddings = np.empty((len(videos), self._card.feature_dim), dtype=np.float32)
        for position, video in enumerate(videos):
            planes = read_video(video, position, self._card.input.short_side, self._planes)
            embeddings[position] = self._embed_planes(planes)
        return embeddings

    def _planes(self, open_frames: OpenFrames) -> np.ndarray:
        return clip_planes(open_frames, self._card.input)

    def _embed_planes(self, planes: np.ndarray) -> np.ndarray:
        device = next(self._encoder.parameters()).device
        batch = torch.from_numpy(planes)[None].to(device)
        numbers = torch.from_numpy(identity_numbers(planes.shape[1])).to(device).expand(1, len(planes), -1, -1)
        with torch.inference_mode():
            clips = to_clips(batch, numbers, self._card.input.normalisation)
            return embed_videos(self._encoder, clips, self._card.input.pooling)[0].cpu().numpy()


def read_video(
    video: Video, position: int, short_side: int, planes_of: Callable[[OpenFrames], np.ndarray]
) -> np.ndarray:
    """What `planes_of` makes of the frames. Errors name the video, which is at `position` among those asked for."""
    name = _name(video, position)
    try:
        return planes_of(lambda: _opened(video, short_side))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{name} does not exist") from error
    except (VideoRefusedError, ValueError, OSError) as error:
        raise ValueError(f"{name} cannot be read: {error}") from error


def videos_of(model_input: Any) -> list[str | bytes]:
    """A DataFrame's column, an array of one column, or a list: pyfunc hands on any of them."""
    if hasattr(model_input, "to_numpy"):
        model_input = model_input.to_numpy()
    if isinstance(model_input, np.ndarray):
        if model_input.ndim > 1 and model_input.shape[1] != 1:
            raise ValueError(f"videos have {model_input.shape[1]} columns; accepted is one, of paths or of bytes")
        model_input = model_input.ravel().tolist()
    if isinstance(model_input, str | bytes) or not isinstance(model_input, Iterable):
        model_input = [model_input]
    return list(model_input)


def clip_planes(open_frames: OpenFrames, config: EncoderInput) -> np.ndarray:
    """uint8 [num_clips, time, crop_size * 3 // 2, crop_size]: a video's clips, cropped to the centre."""
    plan, frames = read_clips(open_frames, config.sampler)
    plane_rows, width = next(iter(frames.values())).shape
    crop = centre_crop(plane_rows * 2 // 3, width)
    clips = ([picture_planes(frames[index]) for index in clip.frame_indices] for clip in plan.clips)
    return np.stack([crop_and_resize(clip, [crop], config.crop_size) for clip in clips])


def read_clips(open_frames: OpenFrames, sampler: ClipSampler) -> tuple[ClipPlan, Frames]:
    """The plan of a video and its frames by index. Only a full decode tells how many frames there are."""
    kept: list[np.ndarray] = []
    num_frames = 0
    with open_frames() as opened:
        for frame in opened.frames:
            num_frames += 1
            if num_frames <= MAX_FRAMES_IN_MEMORY:
                kept.append(frame)
    plan = sampler.plan(_video_info(opened, num_frames, kept[0].shape), np.random.default_rng(0))
    if num_frames == len(kept):
        return plan, dict(enumerate(kept))
    wanted = plan.wanted_frames
    with open_frames() as opened:
        return plan, {index: frame for index, frame in enumerate(opened.frames) if index in wanted}


def _video_info(opened: OpenedVideo, num_frames: int, shape: tuple[int, ...]) -> VideoInfo:
    return VideoInfo(
        video_index=0,
        num_frames=num_frames,
        frames_per_second=float(opened.frames_per_second),
        height=shape[0] * 2 // 3,
        width=shape[1],
    )


@contextmanager
def _opened(video: Video, short_side: int) -> Iterator[OpenedVideo]:
    if isinstance(video, bytes):
        with open_video(video, short_side=short_side) as opened:
            yield opened
    else:
        with Path(video).open("rb") as file, open_video(file, short_side=short_side) as opened:
            yield opened


def _name(video: Video, position: int) -> str:
    shown = f"of {len(video)} bytes" if isinstance(video, bytes) else repr(os.fspath(video))
    return f"video {position}, {shown},"
