"""The registered classifier: MLflow copies this file and runs it at `mlflow.pyfunc.load_model` (no pickle).

Beside it lie the code of both packages, the weights and the card; that code comes first on the path.
"""

from pathlib import Path

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from rspnet_platform.finetune.video_classifier import VideoClassifier
from rspnet_platform.inference.video_embedder import videos_of


class ClassifierModel(PythonModel):
    """`predict(videos)` -> a DataFrame of float32: a row a video, a column of probabilities a class, named after it; a
    video is a path or the bytes of a file."""

    def load_context(self, context) -> None:
        self._classifier = VideoClassifier.read(Path(context.artifacts["weights"]), Path(context.artifacts["card"]))

    # MLflow checks the parameters' names, and asks for a hint; this one leaves text and bytes as they are.
    def predict(self, context, model_input: pd.DataFrame, params=None):  # noqa: ARG002  # pyright: ignore
        probabilities = self._classifier.probabilities(videos_of(model_input))
        return pd.DataFrame(probabilities, columns=list(self._classifier.card.class_names))


set_model(ClassifierModel())
