"""What a container is made from, as the engine's API takes it and as a command says it.

Contract: the image has /opt/fairlead/{bundle,env,runtime} and lets user 10001 run on a read-only root with a /tmp in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

USER = 10001
PORT = 5001  # inside
RUNTIME = "/opt/fairlead/runtime/bin/python"
BUNDLE = "/opt/fairlead/bundle"
PYTHON = "/opt/fairlead/env/bin/python"
MOUNT = "/run/fairlead"
LIVE = f"{MOUNT}/live"  # in the volume, the user's own
OPTIONS = f"{LIVE}/options.json"
REPORT = f"{LIVE}/report.json"
MOST_PROCESSES = 4096
MOST_FILES = 6  # of a log
ARGUMENTS = ("-m", "fairlead_scoring", "serve", "--options", OPTIONS)


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """`volume`: name of the one with its inputs. `published`: address of the engine's machine. `grace`: seconds from SIGTERM to SIGKILL.

    `checks_health`: as the image says; where every look asks the service itself, the engine need not start a Python for it.
    """

    name: str
    image: str
    labels: Mapping[str, str]
    volume: str
    published: tuple[str, int]
    grace: int
    cpu: float | None = None
    memory: int | None = None  # bytes
    gpu: int | None = None
    log_bytes: int = 50_000_000
    checks_health: bool = False

    def config(self) -> dict[str, Any]:
        """Body of POST /containers/create."""
        port = f"{PORT}/tcp"
        said: dict[str, Any] = {
            "Image": self.image,
            "Entrypoint": [RUNTIME],
            "Cmd": list(ARGUMENTS),
            "User": f"{USER}:{USER}",
            "Labels": dict(self.labels),
            "ExposedPorts": {port: {}},
            "StopSignal": "SIGTERM",
            "StopTimeout": self.grace,
            "HostConfig": {
                **self._limits(),
                "ReadonlyRootfs": True,
                "Tmpfs": {"/tmp": self._tmp()},  # noqa: S108 - of the container
                "Binds": [f"{self.volume}:{MOUNT}"],
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges"],
                "PidsLimit": MOST_PROCESSES,
                "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},  # until it serves
                "LogConfig": {"Type": "json-file", "Config": {"max-size": str(self.log_bytes), "max-file": str(MOST_FILES)}},
                "PortBindings": {port: [{"HostIp": self.published[0], "HostPort": str(self.published[1])}]},
            },
        }
        return said if self.checks_health else {**said, "Healthcheck": {"Test": ["NONE"]}}

    def _limits(self) -> dict[str, Any]:
        """Swap would turn a limit of memory into a service that stands still."""
        limits: dict[str, Any] = {}
        if self.cpu is not None:
            limits["NanoCpus"] = round(self.cpu * 1e9)
        if self.memory is not None:
            limits |= {"Memory": self.memory, "MemorySwap": self.memory}
        if self.gpu:
            limits["DeviceRequests"] = [{"Driver": "", "Count": self.gpu, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}}]
        return limits

    def _tmp(self) -> str:
        """It counts as memory: with half of it, one who writes too much hears of a full disk before the whole is killed."""
        return "rw,nosuid,nodev,mode=1777" + (f",size={self.memory // 2}" if self.memory else "")

    def command(self) -> list[str]:
        """After `docker`; it does the same."""
        limits = [
            *((f"--cpus={self.cpu:g}",) if self.cpu is not None else ()),
            *((f"--memory={self.memory}", f"--memory-swap={self.memory}") if self.memory is not None else ()),
            *((f"--gpus={self.gpu}",) if self.gpu else ()),
        ]
        host, port = self.published
        flags = [
            f"--user={USER}:{USER}",
            "--read-only",
            f"--tmpfs=/tmp:{self._tmp()}",
            f"--volume={self.volume}:{MOUNT}",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
            f"--pids-limit={MOST_PROCESSES}",
            "--log-driver=json-file",
            f"--log-opt=max-size={self.log_bytes}",
            f"--log-opt=max-file={MOST_FILES}",
            f"--publish={f'[{host}]' if ':' in host else host}:{port}:{PORT}",
            f"--stop-timeout={self.grace}",
            *(() if self.checks_health else ("--no-healthcheck",)),
        ]
        labels = [f"--label={name}={value}" for name, value in self.labels.items()]
        return ["create", f"--name={self.name}", *limits, *flags, *labels, f"--entrypoint={RUNTIME}", self.image, *ARGUMENTS]
