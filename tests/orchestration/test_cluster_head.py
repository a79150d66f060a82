"""A cluster whose head does not answer: one error in seconds, before Ray is asked and while it is used."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import ray
from rspnet_platform import cluster_head
from rspnet_platform.cluster_head import HeadWatch, check_head_answers, check_head_speaks
from rspnet_platform.command_line import UserError
from rspnet_platform.stop_requests import StopRequests, stop_message


@pytest.fixture
def head() -> Iterator[socket.socket]:
    """What listens like one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def address_of(server: socket.socket) -> str:
    return f"127.0.0.1:{server.getsockname()[1]}"


def test_an_address_where_nothing_listens_is_named(head: socket.socket) -> None:
    """With what would be accepted; also of a Ray client's address."""
    address = address_of(head)
    check_head_answers(address)
    check_head_answers(f"ray://{address}")
    head.close()
    for dead in (address, f"ray://{address}"):
        with pytest.raises(UserError, match=f"RAY_ADDRESS is '{dead}', and no Ray answers there .*refused"):
            check_head_answers(dead, max_seconds=0.0)


def test_a_port_of_something_else_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A web server, and what answers nothing: Ray would ask them for ever. An encrypted cluster is not asked."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = address_of(server.socket)
    with pytest.raises(UserError, match=f"RAY_ADDRESS is '{address}', and what listens there is no Ray"):
        check_head_speaks(address)
    monkeypatch.setenv("RAY_USE_TLS", "1")
    check_head_speaks(address)
    monkeypatch.delenv("RAY_USE_TLS")
    server.shutdown()
    server.server_close()
    monkeypatch.setattr(cluster_head, "SECONDS_TO_GREET", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(UserError, match="timed out"):
        check_head_speaks(address_of(silent))
    check_head_speaks("auto")


def test_a_head_greets(ray_of_two_cpus: None) -> None:  # noqa: ARG001
    """Ray's own, as this process reaches it."""
    check_head_speaks(ray.get_runtime_context().gcs_address)


def test_words_that_name_no_place_are_rays_to_answer() -> None:
    """It finds a Ray of this machine by itself; a port that is none is refused."""
    check_head_answers("auto")
    with pytest.raises(UserError, match="accepted are HOST:PORT"):
        check_head_answers("head:many")


def test_a_head_that_goes_away_breaks_the_job_off(head: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """In whatever it waits, with status 1 and an error that names the head; not while it answers."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    requests = StopRequests()
    monkeypatch.setattr(cluster_head, "STOP_REQUESTS", requests)
    monkeypatch.setattr("rspnet_platform.stop_requests.STOP_REQUESTS", requests)
    monkeypatch.setattr(cluster_head, "SECONDS_BETWEEN_LOOKS", 0.05)
    address = address_of(head)
    requests.handle_signals()
    watch = HeadWatch(address, max_seconds=0.3)

    def work() -> None:
        time.sleep(0.6)
        assert requests.failure is None
        head.close()
        threading.Event().wait(30.0)

    try:
        with pytest.raises(KeyboardInterrupt) as stop:
            work()
    finally:
        watch.end()
        for number, handler in before.items():
            signal.signal(number, handler)
    assert requests.exit_status == 1
    said = stop_message(stop.value, goes_on=True)
    assert said.startswith(f"error: the head of the Ray cluster at {address} has not answered for ")
    assert said.endswith("the same command goes on")
