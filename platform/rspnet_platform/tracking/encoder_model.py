"""The registered model: MLflow copies this file and runs it at `mlflow.pyfunc.load_model` (no pickle).

Beside it lie the code of both packages, the weights and the card; that code comes first on the path.
"""

from pathlib import Path

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from rspnet_platform.inference.encoder_files import read_card, read_encoder
from rspnet_platform.inference.video_embedder import VideoEmbedder, videos_of


class EncoderModel(PythonModel):
    """`predict(videos)` -> float32 [num_videos, feature_dim]; a video is a path or the bytes of a file."""

    def load_context(self, context) -> None:
        card = read_card(Path(context.artifacts["card"]))
        self._embedder = VideoEmbedder(read_encoder(Path(context.artifacts["weights"]), card), card)

    # MLflow checks the parameters' names, and asks for a hint; this one leaves text and bytes as they are.
    def predict(self, context, model_input: pd.DataFrame, params=None):  # noqa: ARG002  # pyright: ignore
        return self._embedder.embed(videos_of(model_input))


set_model(EncoderModel())
