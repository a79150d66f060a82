"""Seeds every test, and checks the shapes in rspnet_core's annotations at each call."""

import numpy as np
import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook("rspnet_core", "beartype.beartype")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(0)
