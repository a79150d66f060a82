"""The registered model: MLflow copies this file and runs it at `mlflow.pyfunc.load_model` (no pickle).

Beside it lie the code of both packages, the weights and the card; that code comes first on the path.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from rspnet_platform.inference.encoder_files import read_card, read_encoder
from rspnet_platform.inference.video_embedder import VideoEmbedder


class EncoderModel(PythonModel):
    """`predict(videos)` -> float32 [num_videos, feature_dim]; a video is a path or the bytes of a file."""

    def load_context(self, context) -> None:
        card = read_card(Path(context.artifacts["card"]))
        self._embedder = VideoEmbedder(read_encoder(Path(context.artifacts["weights"]), card), card)

    # MLflow checks the parameters' names, and asks for a hint; this one leaves text and bytes as they are.
    def predict(self, context, model_input: pd.DataFrame, params=None):  # noqa: ARG002  # pyright: ignore
        return self._embedder.embed(videos_of(model_input))


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


set_model(EncoderModel())
