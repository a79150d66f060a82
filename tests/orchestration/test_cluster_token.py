"""A driver that asks for a token and a cluster that does not: Ray would drop each actor with an error about references,
so connecting says what is wrong."""

import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.ray_nodes import two_ray_nodes

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


def test_the_cluster_asks_for_no_token():
    with tempfile.TemporaryDirectory(prefix="rn-") as folder, two_ray_nodes(Path(folder), num_cpus=1) as nodes:
        printed = {}
        for mode in ("token", "disabled"):
            environment = nodes.environment | {"RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
            environment["PYTHONPATH"] = f"{ROOT}:{ROOT / 'platform'}"
            done = subprocess.run(
                [sys.executable, "-c", DRIVER], env=environment, capture_output=True, text=True, timeout=120
            )
            assert done.returncode == 0, done.stderr
            printed[mode] = done.stdout.strip()
    assert printed["disabled"] == ""
    assert len(printed["token"].splitlines()) == 1
    assert "RAY_AUTH_MODE is 'token' here" in printed["token"]
