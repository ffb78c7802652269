"""A real engine by every way that leads to one, and two engines at once."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.acceptance.docker_engine import EngineUnavailableError, OwnEngine
from tests.acceptance.service import free_port
from tests.acceptance.test_docker_platform import Watch

pytestmark = pytest.mark.acceptance

SSH = """#!/bin/sh
# Stands for ssh, and for the shell on the other side: runs what comes after the host's name.
echo "$@" >>{log}
while [ "$1" != -- ]; do shift; done
[ "$2" = box ] || {{ echo "Host key verification failed." >&2; exit 255; }}
shift 2
DOCKER_HOST={host} exec "$@"
"""


class Second:
    """Another engine, which listens on TCP with TLS too, and the certificates of its client."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.certificates = folder / "client"
        self.certificates.mkdir()
        server, client = authority.issue_cert("127.0.0.1"), authority.issue_cert("gateway.example")
        authority.cert_pem.write_to_path(str(self.certificates / "ca.pem"))
        client.cert_chain_pems[0].write_to_path(str(self.certificates / "cert.pem"))
        client.private_key_pem.write_to_path(str(self.certificates / "key.pem"))
        server.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
        server.private_key_pem.write_to_path(str(folder / "server-key.pem"))
        self.url = f"tcp://127.0.0.1:{free_port()}"
        self.engine = OwnEngine(
            f"--host={self.url}",
            "--tlsverify",
            f"--tlscacert={self.certificates}/ca.pem",
            f"--tlscert={folder}/server.pem",
            f"--tlskey={folder}/server-key.pem",
        )


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Second]:
    found = Second(tmp_path_factory.mktemp("second"))
    try:
        try:
            found.engine.start()
            found.engine.load_image()
        except EngineUnavailableError as problem:
            pytest.skip(str(problem))
        yield found
    finally:
        found.engine.destroy()


def tell(watch: Watch, engine: OwnEngine, name: str) -> None:
    """A container's life is told."""
    try:
        engine.run(name)
        watch.expect("service", "update", "Running", name)
        engine.docker("kill", name)
        watch.expect("service", "update", "Stopped", name)
    finally:
        engine.remove(name)
    watch.expect("service", "delete", "Terminated", name)


def test_tls_with_a_certificate_of_the_client(second: Second) -> None:
    with Watch(second.url, DOCKER_CERT_PATH=str(second.certificates)) as watch:
        tell(watch, second.engine, "over-tls")


def test_tls_without_one_is_refused_and_says_so(second: Second, tmp_path: Path) -> None:
    shutil.copy(second.certificates / "ca.pem", tmp_path)
    watch = Watch(second.url, DOCKER_CERT_PATH=str(tmp_path))
    assert "check cert.pem and key.pem" in watch.wait(lambda line: line["type"] == "failed")["problem"]


def test_an_authority_that_did_not_sign_is_not_trusted(second: Second, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    watch = Watch(second.url, DOCKER_CERT_PATH=str(tmp_path))
    assert "certificate is not trusted" in watch.wait(lambda line: line["type"] == "failed")["problem"]


def test_ssh_is_run_once_for_the_stream_and_seldom_for_the_rest(second: Second, tmp_path: Path) -> None:
    log = tmp_path / "ssh.log"
    program = tmp_path / "ssh"
    program.write_text(SSH.format(log=log, host=second.engine.host))
    program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    with Watch("ssh://me@box", interval=1.0, timeout=1.0, PATH=path) as watch:
        tell(watch, second.engine, "over-ssh")
        commands = log.read_text().splitlines()
        assert len(commands) <= 4, commands
        assert commands[0].endswith("-l me -- box docker system dial-stdio")
    refused = Watch("ssh://stranger", PATH=path)
    assert "Host key verification failed" in refused.wait(lambda line: line["type"] == "failed")["problem"]


def test_one_of_two_engines_that_hangs_does_not_blind_the_other(own_engine: OwnEngine, second: Second) -> None:
    hosts = f"one={own_engine.host} two={second.url}"
    with Watch(hosts, interval=1.0, timeout=0.5, DOCKER_CERT_PATH=str(second.certificates)) as watch:
        second.engine.signal(signal.SIGSTOP)
        try:
            watch.expect("node", "update", "Unreachable", "two", seconds=10)
            tell(watch, own_engine, "other")
        finally:
            second.engine.signal(signal.SIGCONT)
        watch.expect("node", "update", "Deployed", "two", seconds=30)
        tell(watch, second.engine, "again")
