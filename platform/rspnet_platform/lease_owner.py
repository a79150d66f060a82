"""Who holds a lease: a process, by what tells it from all others, also when its number is given to another one."""

import getpass
import json
import os
import socket
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

MAX_SECONDS_APART = 1.0
"""Of two readings of one process's start."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """`machine` stands for one boot and one numbering of processes: containers of a host have the same `host` at times,
    and processes of the same `pid`. `started_seconds` is the process's start, of the epoch; `since` the lease's."""

    token: str
    host: str
    machine: str
    pid: int
    started_seconds: float
    user: str
    since: str

    @classmethod
    def this_process(cls) -> "Owner":
        return cls(
            token=uuid.uuid4().hex,
            host=socket.gethostname(),
            machine=this_machine(),
            pid=os.getpid(),
            started_seconds=psutil.Process().create_time(),
            user=this_user(),
            since=datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        )

    @classmethod
    def read(cls, data: bytes) -> "Owner | None":
        """None for what no driver writes as a whole: one was killed right then, or the disk was full."""
        try:
            return cls(**json.loads(data)["owner"])
        except (ValueError, TypeError, KeyError):
            return None

    def written(self, beat: int) -> bytes:
        """Other bytes for each beat."""
        renewed = datetime.now(UTC).isoformat(timespec="milliseconds")
        return json.dumps({"owner": asdict(self), "beat": beat, "renewed": renewed}, indent=2).encode()

    @property
    def is_dead(self) -> bool:
        """For certain. False also where nobody on this machine can know."""
        if self.machine != this_machine():
            return False
        try:
            process = psutil.Process(self.pid)
            is_another = abs(process.create_time() - self.started_seconds) > MAX_SECONDS_APART
            return is_another or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def __str__(self) -> str:
        return f"process {self.pid} of {self.user} on {self.host}, since {self.since}"


def this_machine() -> str:
    """Without Linux's files the host's name alone."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def this_user() -> str:
    """In a container the number may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
