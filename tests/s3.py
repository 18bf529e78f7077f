"""An S3 server that is not ours, for tests: buckets of their own, and faults on request."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from tests.live import free_port
from tests.waiting import until


@dataclass(frozen=True, slots=True)
class S3Server:
    port: int

    @property
    def environment(self) -> Mapping[str, str]:
        """What points a client at it, as a user would."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make_bucket(self) -> str:
        """A new bucket's name."""
        name = f"bucket-{uuid.uuid4().hex}"
        assert self._ask("PUT", f"/{name}") == 200
        return name

    @contextmanager
    def misbehaving(self, *, seed: int = 1, **kinds: float) -> Iterator[None]:
        """Shares of requests that are answered `slow_down`, end in a `reset`, or whose answer is `cut`."""
        self._set_faults({kind.replace("_", " "): share for kind, share in kinds.items()}, seed)
        try:
            yield
        finally:
            self._set_faults({}, seed)

    def answers(self) -> bool:
        try:
            return self._ask("GET", "/moto-api/") == 200
        except OSError:
            return False

    def _set_faults(self, kinds: Mapping[str, float], seed: int) -> None:
        assert self._ask("POST", "/_faults", json.dumps({"kinds": kinds, "seed": seed}).encode()) == 204

    def _ask(self, method: str, path: str, body: bytes = b"") -> int:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body)
            return connection.getresponse().status
        finally:
            connection.close()


@contextmanager
def running_s3(repository: Path) -> Iterator[S3Server]:
    server = S3Server(free_port())
    process = subprocess.Popen([sys.executable, "-m", "tests.s3_server", str(server.port)], cwd=repository, stderr=subprocess.DEVNULL)
    try:
        until(lambda: server.answers() or process.poll() is not None, "the S3 server to answer")
        assert process.poll() is None, "the S3 server ended at once"
        yield server
    finally:
        process.kill()
        process.wait()
