"""Whether a cluster's head answers: asked before Ray, which takes 12 minutes to give up, and while it is used."""

import contextlib
import os
import socket
import threading
import time
from urllib.parse import urlsplit

from rspnet_platform.command_line import UserError, say
from rspnet_platform.stop_requests import STOP_REQUESTS

SECONDS_TO_GREET = 10.0
HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""Of a client: the preface, and a frame of no settings (RFC 9113, 3.4). gRPC, which Ray speaks, runs over it."""
HTTP2_SETTINGS = b"\x04"
"""The type of the frame that a server begins with."""

MAX_SECONDS_AWAY = 20.0
SECONDS_BETWEEN_LOOKS = 2.0
MAX_SECONDS_TO_END = 15.0
"""Before the process is ended by force: without its head, Ray may wait for ever, or end it without a word."""


def check_head_answers(address: str, *, max_seconds: float = 10.0) -> None:
    """`address` as in RAY_ADDRESS. Raises UserError, with the address, where nothing listens there."""
    deadline = time.monotonic() + max_seconds
    while (error := refusal(address)) is not None:
        if time.monotonic() >= deadline:
            raise UserError(
                f"RAY_ADDRESS is {address!r}, and no Ray answers there ({error}). Start that cluster, set RAY_ADDRESS "
                "to one that runs, or unset it for a Ray of this machine alone"
            )
        time.sleep(1.0)


def check_head_speaks(address: str) -> None:
    """Raises UserError where what listens there is no gRPC server: Ray would ask it again and again. Not asked where
    the cluster encrypts, nor for words that name no place."""
    if os.environ.get("RAY_USE_TLS", "0") not in ("0", "false", "") or (place := place_of(address)) is None:
        return
    try:
        with socket.create_connection(place, timeout=SECONDS_TO_GREET) as connection:
            connection.sendall(HTTP2_GREETING)
            answer = connection.recv(9)
            found = f"it answers {answer!r}"
    except OSError as error:
        answer, found = b"", str(error)
    if answer[3:4] != HTTP2_SETTINGS:
        raise UserError(
            f"RAY_ADDRESS is {address!r}, and what listens there is no Ray ({found}). Set RAY_ADDRESS to a cluster's"
            " head, by default at port 6379, or ray://HEAD:10001, or unset it for a Ray of this machine alone"
        )


def place_of(address: str) -> tuple[str, int] | None:
    """Host and port; None for words such as "auto" that name no place."""
    try:
        place = urlsplit(address if "://" in address else f"//{address}")
        host, port = place.hostname, place.port
    except ValueError as error:
        raise UserError(f"RAY_ADDRESS is {address!r}; accepted are HOST:PORT and ray://HOST:PORT ({error})") from error
    return None if host is None or port is None else (host, port)


def refusal(address: str) -> OSError | None:
    """Why no connection is made; None where one is, and for words that name no place."""
    if (place := place_of(address)) is None:
        return None
    try:
        socket.create_connection(place, timeout=3.0).close()
    except OSError as error:
        return error
    return None


class HeadWatch:
    """Breaks the job off when the head has been away for `max_seconds`. (Ray would end the process after 60 s, from
    native code.)"""

    def __init__(self, address: str, *, max_seconds: float = MAX_SECONDS_AWAY) -> None:
        self._address, self._max_seconds = address, max_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="head-watch", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join(timeout=5.0)

    def _follow(self) -> None:
        answered = time.monotonic()
        while not self._ended.wait(SECONDS_BETWEEN_LOOKS):
            now = time.monotonic()
            if refusal(self._address) is None:
                answered = now
            elif now - answered >= self._max_seconds:
                self._break_off(now - answered)
                return

    def _break_off(self, seconds: float) -> None:
        reason = (
            f"the head of the Ray cluster at {self._address} has not answered for {seconds:.0f} s: its process or node "
            "has ended. Once there is a cluster, the same command goes on"
        )
        STOP_REQUESTS.break_off(reason)
        if not self._ended.wait(MAX_SECONDS_TO_END):
            with contextlib.suppress(Exception):
                say(f"error: {reason}")
            os._exit(1)
