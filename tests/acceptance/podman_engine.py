"""A real Podman for tests, behind its socket for clients of Docker: its own data, no network, no registry."""

import os
import shutil
import subprocess

from tests.acceptance.docker_engine import EngineUnavailableError, OwnEngine, installed

CONFIGURATION = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "none"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "{runtime}"
"""


class PodmanEngine(OwnEngine):
    """A Podman that the tests start and stop themselves."""

    def start(self) -> None:
        """Start it, and wait until it answers. Raises `EngineUnavailableError` where it can't run."""
        if os.geteuid() != 0:
            raise EngineUnavailableError("a Podman of our own needs root")
        podman = shutil.which("podman") or installed("podman", "podman")
        if shutil.which("docker") is None:
            installed("docker-cli", "docker")
        runtime = "runc" if shutil.which("runc") or shutil.which("crun") is None else "crun"
        if shutil.which(runtime) is None:
            installed(runtime, runtime)
        (self.home / "containers.conf").write_text(CONFIGURATION.format(runtime=runtime))
        folders = (f"--root={self.home}/root", f"--runroot={self.home}/run", f"--tmpdir={self.home}/tmp")
        with (self.home / "log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [podman, *folders, "--storage-driver=vfs", "system", "service", "--time=0", self.host],
                env={**os.environ, "CONTAINERS_CONF": f"{self.home}/containers.conf"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_it_answers()
