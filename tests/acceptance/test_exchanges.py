"""All ways to exchange HTTP over real sockets: what a network in memory can't show."""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

pytestmark = pytest.mark.acceptance

WAYS = ("treq", "agent", "fast")


def exchange(*wanted: dict[str, Any], **environ: str) -> list[list[Any]]:
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    done = subprocess.run(
        [sys.executable, "-m", "tests.net.exchange", json.dumps(wanted)],
        env={**clean, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found: list[list[Any]] = json.loads(done.stdout)
    return found


@contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that treats each connection so, in a thread of its own; gives its port."""
    server = socket.create_server(("127.0.0.1", 0), backlog=128)

    def treat(client: socket.socket) -> None:
        with client:
            try:
                serve(client)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=treat, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def request(client: socket.socket) -> bytes:
    """One whole request's body; ends with an OSError where there is none any more."""
    head = b""
    while b"\r\n\r\n" not in head:
        more = client.recv(65536)
        if not more:
            raise ConnectionError("closed")
        head += more
    head, _, body = head.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += client.recv(65536)
    return body


def answering(client: socket.socket) -> None:
    """Answers each request with the length of its body."""
    while True:
        body = request(client)
        client.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(str(len(body))), str(len(body)).encode())
        )


@pytest.mark.parametrize("way", WAYS)
def test_many_at_once_are_all_answered_on_a_bounded_number_of_connections(way: str) -> None:
    connections: list[int] = []

    def counted(client: socket.socket) -> None:
        connections.append(1)
        answering(client)

    with serving(counted) as port:
        (found,) = exchange({"way": way, "url": f"http://127.0.0.1:{port}/", "times": 500})
    assert found == [[200, 1]] * 500
    if way != "treq":  # Twisted's pool bounds what it keeps, not what it opens
        assert len(connections) <= 50


@pytest.mark.parametrize("way", WAYS)
def test_large_requests_arrive_whole_between_small_ones(way: str) -> None:
    with serving(answering) as port:
        url = f"http://127.0.0.1:{port}/"
        sizes = [2, 5_000_000, 2, 70_000, 65_536, 2]
        found = exchange(*({"way": way, "url": url, "size": size} for size in sizes))
    assert found == [[[200, len(str(size))]] for size in sizes]


@pytest.mark.parametrize("way", ["agent", "fast"])  # Twisted's agent sends the next request behind what is left of this
def test_an_answer_may_come_before_the_request_was_read(way: str) -> None:
    over = threading.Event()

    def refusing(client: socket.socket) -> None:
        client.recv(1000)
        client.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
        over.wait(30)

    try:
        with serving(refusing) as port:
            large = {"way": way, "url": f"http://127.0.0.1:{port}/", "size": 50_000_000}
            assert exchange(large, large) == [[[413, 0]], [[413, 0]]]
    finally:
        over.set()


@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_resets_is_trouble_and_the_next_exchange_works(way: str) -> None:
    turns = iter([False, True])

    def resetting(client: socket.socket) -> None:
        if next(turns):
            answering(client)
        request(client)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with serving(resetting) as port:
        one = {"way": way, "url": f"http://127.0.0.1:{port}/"}
        assert exchange(one, one) == [[f"http://127.0.0.1:{port}: the connection was cut"], [[200, 1]]]


@pytest.mark.parametrize("way", WAYS)
def test_tls_is_verified_and_kept(way: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    bundle = str(tmp_path / "bundle.pem")
    authority.cert_pem.write_to_path(bundle)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    handshakes: list[str] = []

    def secured(client: socket.socket) -> None:
        with context.wrap_socket(client, server_side=True) as wrapped:
            handshakes.append("done")
            answering(wrapped)

    with serving(secured) as port:
        good = {"way": way, "url": f"https://localhost:{port}/"}
        large = {**good, "size": 3_000_000}
        bad = {"way": way, "url": f"https://127.0.0.1:{port}/"}
        found = exchange(good, large, good, bad, SSL_CERT_FILE=bundle)
        assert found[:3] == [[[200, 1]], [[200, 7]], [[200, 1]]]
        assert found[3] == [f"https://127.0.0.1:{port}: its certificate is not valid for this name"]
        assert handshakes.count("done") <= 2  # the good one, and perhaps the bad one until it was found out
        assert "not signed by an authority we trust" in exchange(good)[0][0]
