"""What an MLflow model of an encoder consists of: weights, card, the code of both packages, requirements."""

import importlib
import importlib.metadata
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from rspnet_platform.inference.encoder_card import EncoderCard

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

    from rspnet_core.encoders.video_encoder import VideoEncoder

PACKAGES = ("rspnet_core", "rspnet_platform")
REQUIREMENTS = (
    "av",
    "fsspec",
    "jaxtyping",
    "mlflow",
    "numpy",
    "opencv-python-headless",
    "pandas",
    "pyarrow",
    "safetensors",
    "torch",
)
"""What the code that predicts imports; a test holds that it is no more than this."""


def save_pyfunc(folder: Path, run_id: str, model_id: str, encoder: "VideoEncoder", card: EncoderCard) -> Path:
    """Writes the model of a run and a logged model below `folder`, and returns where it lies."""
    from rspnet_platform.inference.encoder_files import save_encoder

    weights_path, card_path = save_encoder(folder / "encoder", encoder, card)
    with warnings.catch_warnings():
        # MLflow warns of its own types while it is imported, and that an example input is missing: a video.
        warnings.filterwarnings("ignore", ".*(Any type hint is|An input example was not)", UserWarning)
        import mlflow.pyfunc
        from mlflow.models import Model

        mlflow.pyfunc.save_model(
            path=folder / "model",
            python_model=str(Path(__file__).with_name("encoder_model.py")),
            artifacts={"weights": str(weights_path), "card": str(card_path)},
            code_paths=[str(Path(str(importlib.import_module(name).__file__)).parent) for name in PACKAGES],
            signature=_signature(card.feature_dim),
            # Given in full: MLflow would load the model in a process of its own to find out.
            pip_requirements=[_pinned(name) for name in REQUIREMENTS],
            mlflow_model=Model(run_id=run_id, model_uuid=model_id, model_id=model_id),
        )
    return folder / "model"


def _signature(feature_dim: int) -> "ModelSignature":
    """Any one column in, because MLflow's types know paths (string) or bytes (binary) but not either."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec
    from mlflow.types.schema import AnyType

    return ModelSignature(
        inputs=Schema([ColSpec(AnyType())]),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, feature_dim))]),
    )


def _pinned(distribution: str) -> str:
    version = importlib.metadata.version(distribution).partition("+")[0]
    return f"{distribution}=={version}"
