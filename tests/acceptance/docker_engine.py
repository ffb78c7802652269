"""A real Docker Engine for tests: its own daemon, socket and data, no bridge, no firewall rules, no registry.

It needs root and, where `dockerd` or busybox is missing, Debian's packages. Where the kernel does not allow it, `start`
says why.
"""

import os
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
from io import BytesIO
from pathlib import Path
from random import randrange

IMAGE = "busybox:latest"
STARTUP = 60.0


class EngineUnavailableError(Exception):
    """No engine can run here."""


class DockerEngine:
    """An engine at `host`. Containers need `--network none` or `--network host`."""

    def __init__(self, host: str) -> None:
        self.host = host

    def docker(self, *arguments: str, check: bool = True) -> str:
        """Run the command-line client; its output, without white space around."""
        done = subprocess.run(
            ["docker", *arguments], env=self._environment(), capture_output=True, text=True, timeout=120, check=False
        )
        if check and done.returncode:
            raise AssertionError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def run(self, name: str, *arguments: str, options: tuple[str, ...] = ()) -> str:
        """`docker run -d`; the container's id."""
        command = arguments or ("sleep", "300")
        return self.docker("run", "-d", "--network", "none", "--name", name, *options, IMAGE, *command)

    def remove(self, *names: str) -> None:
        """Whatever of these is there."""
        self.docker("rm", "-f", *names, check=False)

    def start_swarm(self) -> str:
        """Make it the first manager of a swarm that notices lost nodes soon; the token for workers."""
        self.docker("swarm", "init", *_of_its_own())
        self.docker("swarm", "update", "--dispatcher-heartbeat", "1s")
        return self.docker("swarm", "join-token", "-q", "worker")

    def join_swarm(self, token: str, manager: "DockerEngine") -> None:
        """Make it a worker of another engine's swarm."""
        address = manager.docker("info", "--format", "{{(index .Swarm.RemoteManagers 0).Addr}}")
        self.docker("swarm", "join", *_of_its_own(), "--token", token, address)

    def load_image(self) -> None:
        """Make the image for test containers out of a static busybox."""
        if self.docker("images", "-q", IMAGE):
            return
        busybox = shutil.which("busybox") or installed("busybox-static", "busybox")
        names = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
        root = BytesIO()
        with tarfile.open(fileobj=root, mode="w") as archive:
            archive.add(os.path.realpath(busybox), "bin/busybox")
            for name in set(names) - {"busybox"}:
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                archive.addfile(link)
        subprocess.run(
            ["docker", "import", "-", IMAGE],
            env=self._environment(),
            input=root.getvalue(),
            capture_output=True,
            timeout=60,
            check=True,
        )

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "DOCKER_HOST": self.host}


class OwnEngine(DockerEngine):
    """An engine that the tests start, stop and torment themselves.

    Args:
        options: more of them for the daemon.
    """

    def __init__(self, *options: str) -> None:
        self._options = options
        # The path of a socket has at most 107 bytes; pytest's own folders are too deep for one.
        self.home = Path(tempfile.mkdtemp(prefix="tutumstream-engine-"))
        super().__init__(f"unix://{self.home}/docker.sock")
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers. Raises `EngineUnavailableError` where it can't run."""
        if os.geteuid() != 0:
            raise EngineUnavailableError("an engine of our own needs root")
        command = self._command()
        if shutil.which("docker") is None:
            installed("docker-cli", "docker")
        with (self.home / "log").open("ab") as log:
            self._daemon = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + STARTUP
        while not self.docker("version", "--format", "{{.Server.Version}}", check=False):
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                raise EngineUnavailableError(self._last_words())
            time.sleep(0.2)

    def _command(self) -> list[str]:
        """What starts the daemon; it is installed where it is missing."""
        return [
            shutil.which("dockerd") or installed("docker.io", "dockerd"),
            *("--iptables=false", "--ip6tables=false", "--bridge=none", "--shutdown-timeout=5"),
            *(f"--data-root={self.home}/data", f"--exec-root={self.home}/exec", f"--pidfile={self.home}/pid"),
            f"--host={self.host}",
            *self._options,
        ]

    def signal(self, number: signal.Signals) -> None:
        """Send the daemon a signal."""
        assert self._daemon is not None
        self._daemon.send_signal(number)

    def kill(self) -> None:
        """End the daemon as a crash would: its containers go on, and nobody looks after them."""
        assert self._daemon is not None
        self._daemon.kill()
        self._daemon.wait(10)
        # containerd dies with it, a moment later. A daemon that starts in that moment waits for it in vain.
        mark = self.home / "exec" / "containerd" / "containerd.pid"
        containerd = Path("/proc", mark.read_text().strip(), "stat")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and containerd.exists() and ") Z " not in containerd.read_text():
            time.sleep(0.05)
        mark.unlink(missing_ok=True)

    def stop(self) -> None:
        """End the daemon; its containers are stopped first, by itself."""
        if self._daemon is not None and self._daemon.poll() is None:
            self._daemon.send_signal(signal.SIGCONT)
            self._daemon.terminate()
            try:
                self._daemon.wait(40)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait(10)

    def destroy(self) -> None:
        """End it and remove everything that it had."""
        if self._daemon is not None and self._daemon.poll() is None:
            self._daemon.send_signal(signal.SIGCONT)
            self.remove(*self.docker("ps", "-aq", check=False).split())
        self.stop()
        self._clear_up()

    def _clear_up(self) -> None:
        """What a daemon leaves that could not end in peace: the shims of its containers, and its mounts."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes()
                if f"{self.home}/exec/containerd".encode() in command:
                    os.kill(int(process.name), signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                continue
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in sorted((one for one in mounts if one.startswith(f"{self.home}/")), reverse=True):
            subprocess.run(["umount", "-l", mount], capture_output=True, timeout=10, check=False)
        shutil.rmtree(self.home, ignore_errors=True)

    def _last_words(self) -> str:
        lines = (self.home / "log").read_text("utf-8", "replace").strip().splitlines()
        return f"{type(self).__name__} does not start here: {lines[-1] if lines else 'it says nothing'}"


def _of_its_own() -> tuple[str, ...]:
    """A swarm's gossip has one port only, so each engine on this machine needs a loopback address of its own."""
    address = f"127.{randrange(1, 255)}.{randrange(256)}.{randrange(1, 255)}"
    with socket.socket() as found:
        found.bind((address, 0))
        port = found.getsockname()[1]
    return ("--listen-addr", f"{address}:{port}", "--advertise-addr", address)


def installed(package: str, program: str) -> str:
    """The program's path, after installing Debian's package for it."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", package]):
            subprocess.run(["apt-get", "-qq", *command], env=environment, capture_output=True, timeout=600, check=False)
    found = shutil.which(program)
    if found is None:
        raise EngineUnavailableError(f"there is no {program}, and Debian's package {package} can't be installed")
    return found
