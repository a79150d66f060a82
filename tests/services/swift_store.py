"""A real object store with the S3 API on loopback: OpenStack Swift, started, killed and started again."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-services" / "bin" / "python"
START_TIMEOUT_SECONDS = 60
OWNER = ("test:owner", "owners_secret")
STRANGER = ("test:stranger", "strangers_secret")
"""May do nothing."""

_SERVER = "import sys; from swift.{module}.server import main; sys.argv[0] = 'swift-{kind}-server'; sys.exit(main())"
_MODULES = {"account": "account", "container": "container", "object": "obj", "proxy": "proxy"}


class SwiftStore:
    """What is written to it lies in `folder` and outlives `kill`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.proxy_port, *ports = free_ports(4)
        self.endpoint = f"http://127.0.0.1:{self.proxy_port}"
        self._processes: list[subprocess.Popen] = []
        command = [PYTHON, Path(__file__).with_name("swift_files.py"), folder, self.proxy_port, *ports]
        subprocess.run([str(part) for part in command], check=True)

    def environment(self, user: tuple[str, str] = OWNER) -> dict[str, str]:
        """The variables that every client of S3 reads; none of this machine's own settings."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": user[0],
            "AWS_SECRET_ACCESS_KEY": user[1],
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def start(self) -> None:
        """Returns once it answers."""
        for kind, module in _MODULES.items():
            with open(self.folder / f"{kind}.log", "ab") as log:
                self._processes.append(
                    subprocess.Popen(
                        [PYTHON, "-c", _SERVER.format(module=module, kind=kind), self.folder / f"{kind}.conf", "-v"],
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "proxy.log").read_text()[-2000:]
            time.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL to all of its processes, at once."""
        self._signal(signal.SIGKILL)
        for process in self._processes:
            process.wait()
        self._processes.clear()

    def freeze(self) -> None:
        """It still accepts connections and answers nothing, until it is killed."""
        self._signal(signal.SIGSTOP)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes:
            os.killpg(process.pid, number)

    def _answers(self) -> bool:
        try:
            for port in (self.proxy_port, *self._server_ports()):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            urllib.request.urlopen(f"{self.endpoint}/healthcheck", timeout=5).read()
        except (urllib.error.URLError, OSError):
            return False
        return True

    def _server_ports(self) -> list[int]:
        lines = [(self.folder / f"{kind}.conf").read_text() for kind in _MODULES if kind != "proxy"]
        return [int(text.split("bind_port = ")[1].split()[0]) for text in lines]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
