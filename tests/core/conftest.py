"""Seeds every test, and checks the shapes in rspnet_core's annotations at each call."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook("rspnet_core", "beartype.beartype")


@pytest.fixture(autouse=True)
def _seeded_on_one_thread() -> Iterator[None]:
    """Tensors are tiny here: on a busy machine a second thread costs many times what it gives."""
    num_threads = torch.get_num_threads()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(0)
