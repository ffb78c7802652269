"""A real Podman for tests, behind its socket for clients of Docker: its own data, no network, no registry."""

import shutil

from tests.acceptance.docker_engine import OwnEngine, installed

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

    def _command(self) -> list[str]:
        podman = shutil.which("podman") or installed("podman", "podman")
        runtime = "runc" if shutil.which("runc") or shutil.which("crun") is None else "crun"
        if shutil.which(runtime) is None:
            installed(runtime, runtime)
        (self.home / "containers.conf").write_text(CONFIGURATION.format(runtime=runtime))
        return [
            *("env", f"CONTAINERS_CONF={self.home}/containers.conf", podman),
            *(f"--root={self.home}/root", f"--runroot={self.home}/run", f"--tmpdir={self.home}/tmp"),
            *("--storage-driver=vfs", "system", "service", "--time=0", self.host),
        ]
