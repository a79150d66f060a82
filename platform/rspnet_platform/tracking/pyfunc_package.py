"""What an MLflow model consists of: weights, card, the code of both packages, requirements."""

import importlib
import importlib.metadata
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.types import Schema

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


@dataclass(frozen=True, kw_only=True)
class PyfuncParts:
    """What one kind of model brings along: `save` writes weights and card into a folder and returns their paths; `code`
    is the file in this folder that predicts; `outputs` describes what it returns."""

    name: str
    code: str
    save: Callable[[Path], tuple[Path, Path]]
    outputs: Callable[[], "Schema"]


def encoder_outputs(feature_dim: int) -> "Schema":
    import numpy as np
    from mlflow.types import Schema, TensorSpec

    return Schema([TensorSpec(np.dtype(np.float32), (-1, feature_dim))])


def classifier_outputs(class_names: Sequence[str]) -> "Schema":
    """A column a class."""
    from mlflow.types import ColSpec, Schema

    return Schema([ColSpec("float", name) for name in class_names])


def save_pyfunc(folder: Path, run_id: str, model_id: str, parts: PyfuncParts) -> Path:
    """Writes the model of a run and a logged model below `folder`, and returns where it lies."""
    weights_path, card_path = parts.save(folder / parts.name)
    with warnings.catch_warnings():
        # MLflow warns of its own types while it is imported, and that an example input is missing: a video.
        warnings.filterwarnings("ignore", ".*(Any type hint is|An input example was not)", UserWarning)
        import mlflow.pyfunc
        from mlflow.models import Model, ModelSignature
        from mlflow.types import ColSpec, Schema
        from mlflow.types.schema import AnyType

        mlflow.pyfunc.save_model(
            path=folder / "model",
            python_model=str(Path(__file__).with_name(parts.code)),
            artifacts={"weights": str(weights_path), "card": str(card_path)},
            code_paths=[str(Path(str(importlib.import_module(name).__file__)).parent) for name in PACKAGES],
            # Any one column in, because MLflow's types know paths (string) or bytes (binary) but not either.
            signature=ModelSignature(inputs=Schema([ColSpec(AnyType())]), outputs=parts.outputs()),
            # Given in full: MLflow would load the model in a process of its own to find out.
            pip_requirements=[_pinned(name) for name in REQUIREMENTS],
            mlflow_model=Model(run_id=run_id, model_uuid=model_id, model_id=model_id),
        )
    return folder / "model"


def _pinned(distribution: str) -> str:
    version = importlib.metadata.version(distribution).partition("+")[0]
    return f"{distribution}=={version}"
