"""A driver that asks for a token and a cluster that does not: Ray would drop each actor with an error about references,
so connecting says what is wrong."""

import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.ray_nodes import RayNodes, two_ray_nodes

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
DRIVER = """
from rspnet_platform import runtime
from rspnet_platform.command_line import UserError
try:
    runtime.connect()
except UserError as error:
    print(error)
"""


@pytest.mark.parametrize("cluster_mode", ["disabled", "token"])
def test_driver_and_cluster_must_agree(cluster_mode: str):
    """A token where the cluster asks for none is one error that says what to set; modes that agree connect."""
    token = secrets.token_hex(32)
    of_nodes = token if cluster_mode == "token" else None
    with (
        tempfile.TemporaryDirectory(prefix="rn-") as folder,
        two_ray_nodes(Path(folder), num_cpus=1, token=of_nodes) as nodes,
    ):
        printed = {mode: connect(nodes, mode, token) for mode in {cluster_mode, "token"}}
    assert printed.pop(cluster_mode) == ""
    for message in printed.values():
        assert len(message.splitlines()) == 1
        assert "RAY_AUTH_MODE is 'token' here" in message


def connect(nodes: RayNodes, mode: str, token: str) -> str:
    """What a driver says that connects to the nodes in `mode`; nothing where all is well."""
    of_driver = {"RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN": token, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}
    environment = nodes.environment | of_driver
    done = subprocess.run([sys.executable, "-c", DRIVER], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
