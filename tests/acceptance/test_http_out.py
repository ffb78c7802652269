"""What goes out, over real sockets: plain, through TLS, through a proxy."""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import trustme

pytestmark = pytest.mark.acceptance


@pytest.fixture
def sink() -> Iterator[str]:
    """A process with all destinations; gives its origin."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.destinations", "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


def control(origin: str, path: str, method: str = "GET", body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(origin + path, data=data, method=method), timeout=10) as answer:
        return json.load(answer)


def speak(*wanted: tuple[str, str], **environ: str) -> list[list[str]]:
    asked = json.dumps([{"kind": kind, "url": url} for kind, url in wanted])
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    done = subprocess.run(
        [sys.executable, "-m", "tests.net.speak", asked],
        env={**clean, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found: list[list[str]] = json.loads(done.stdout)
    return found


def pipe(source: socket.socket, target: socket.socket) -> None:
    # Either end may reset its connection; the other one is told of the end then.
    with suppress(ConnectionError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """An HTTP proxy that knows CONNECT; gives its URL and what it was asked for. It reaches 127.0.0.1 only."""
    server = socket.create_server(("127.0.0.1", 0))
    asked: list[str] = []

    def serve(client: socket.socket) -> None:
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(1024)
            asked.append(head.split(b"\r\n")[0].decode())
            port = int(head.split(b" ")[1].rpartition(b":")[2])
            with socket.create_connection(("127.0.0.1", port)) as target:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=pipe, args=(target, client), daemon=True)
                back.start()
                pipe(client, target)
                back.join(5)

    def accept() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
    server.shutdown(socket.SHUT_RDWR)
    server.close()


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """A server with TLS for `localhost` that answers `ok`; gives its port and the file with its authority."""
    authority = trustme.CA()
    bundle = tmp_path / "bundle.pem"
    authority.cert_pem.write_to_path(str(bundle))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(client, server_side=True) as wrapped:
                    wrapped.recv(65536)
                    wrapped.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            except OSError:
                continue

    threading.Thread(target=serve, daemon=True).start()
    yield server.getsockname()[1], str(bundle)
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def test_destinations_take_what_is_sent_and_answer_as_told(sink: str) -> None:
    script = {"path": "/services/a", "answers": [{"status": 429, "headers": {"Retry-After": "2"}}, {"cut": "before"}]}
    control(sink, "/_control/answers", "POST", script)
    slack = ("slack", f"{sink}/services/a")
    verdicts = speak(slack, slack, slack, ("webhook", f"{sink}/webhook"), ("slack", f"{sink}/nowhere"))
    assert [verdict for verdict, _ in verdicts] == ["limited", "again", "delivered", "delivered", "hold"]
    received = control(sink, "/_control/requests?path=/services/")
    assert [one["status"] for one in received] == [429, 0, 200]
    assert received[2]["body"] == {"text": "Your container was created on Tutum!"}
    control(sink, "/_control/requests", "DELETE")
    assert control(sink, "/_control/requests") == []


def test_nobody_there_is_told_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/hidden"
    assert speak(("slack", url)) == [["again", f"http://127.0.0.1:{port}: it refused the connection"]]


def test_everything_goes_through_the_proxy(sink: str, proxy: tuple[str, list[str]]) -> None:
    url, asked = proxy
    port = sink.rpartition(":")[2]
    verdicts = speak(("slack", f"http://hooks.example:{port}/services/a"), HTTP_PROXY=url)
    assert verdicts == [["delivered", ""]]
    assert asked == [f"CONNECT hooks.example:{port} HTTP/1.1"]


def test_tls_is_verified_directly_and_through_a_proxy(secured: tuple[int, str], proxy: tuple[str, list[str]]) -> None:
    port, bundle = secured
    url, asked = proxy
    good, bad = ("slack", f"https://localhost:{port}/x"), ("slack", f"https://127.0.0.1:{port}/x")
    direct = speak(good, bad, SSL_CERT_FILE=bundle)
    assert [verdict for verdict, _ in direct] == ["delivered", "again"]
    assert direct[1][1].endswith("its certificate is not valid for this name")
    assert "SSL_CERT_FILE" in speak(good)[0][1]
    tunnelled = speak(good, bad, SSL_CERT_FILE=bundle, HTTPS_PROXY=url)
    assert tunnelled == direct
    assert len(asked) == 2
