"""A dataset host on loopback that speaks the endpoints of the Hugging Face Hub which `huggingface_hub` uses."""

import base64
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


class Hub:
    """Repositories by name (path to content), what was put, and who asked with which token."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}
        self.commits: list[list[str]] = []
        self.puts: list[str] = []
        self.calls: Counter[str] = Counter()
        self.tokens: set[str] = set()
        self.writers = {"Bearer good"}
        self.stall_after: int | None = None
        """Answer no commit after this many, until `resume` is set."""
        self.stalled, self.resume = threading.Event(), threading.Event()
        self.url = ""


@contextmanager
def serve_hub() -> Iterator[Hub]:
    """A host that is up inside the block."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.resume.set()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if match := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/tree/([^/]+)(?:/.*)?", path):
            files = self.hub.repos.get(match[1])
            return self._json([_entry(*item) for item in sorted(files.items())]) if files is not None else self._lost()
        if match := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)(?:/revision/[^/]+)?", path):
            files = self.hub.repos.get(match[1])
            if files is None:
                return self._lost()
            siblings = [{"rfilename": name} for name in sorted(files)]
            return self._json({"id": match[1], "sha": self._sha(match[1]), "siblings": siblings, "private": False})
        if match := re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
            data = self.hub.repos.get(match[1], {}).get(match[2])
            return self._file(match[1], data) if data is not None else self._lost("EntryNotFound")
        return self._lost()

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = unquote(urlsplit(self.path).path)
        self.hub.tokens.add(self.headers.get("Authorization", ""))
        self.hub.calls[path] += 1
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if self.headers.get("Authorization") not in self.hub.writers:
            return self._json({"error": "Invalid username or password."}, 401)
        if path == "/api/repos/create":
            said = json.loads(body)
            name = f"{said['organization']}/{said['name']}"
            known = name in self.hub.repos
            self.hub.repos.setdefault(name, {})
            return self._json({"url": f"{self.hub.url}/datasets/{name}", "name": name}, 409 if known else 200)
        if path.endswith("/preupload/main"):
            known = self.hub.repos.get(path.removeprefix("/api/datasets/").removesuffix("/preupload/main"), {})
            return self._json({"files": [_planned(one["path"], known) for one in json.loads(body)["files"]]})
        if path.endswith(".git/info/lfs/objects/batch"):
            return self._json({"objects": [self._object(one) for one in json.loads(body)["objects"]]})
        if match := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/commit/main", path):
            return self._commit(match[1], body)
        return self._lost()

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        oid = self.path.rsplit("/", 1)[-1]
        assert hashlib.sha256(data).hexdigest() == oid
        self.hub.blobs[oid] = data
        self.hub.puts.append(oid)
        self._json({})

    def _commit(self, repo: str, body: bytes) -> None:
        if self.hub.stall_after is not None and len(self.hub.commits) >= self.hub.stall_after:
            self.hub.stalled.set()
            self.hub.resume.wait()
            self.close_connection = True  # whoever asked is gone, and this host has lost what it said
            return
        files, touched = self.hub.repos[repo], []
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "deletedFile":
                del files[value["path"]]
            touched += [value["path"]] if "path" in value else []
        self.hub.commits.append(touched)
        self._json({"commitUrl": f"{self.hub.url}/datasets/{repo}/commit/x", "commitOid": self._sha(repo)})

    def _object(self, one: dict[str, Any]) -> dict[str, Any]:
        known = one["oid"] in self.hub.blobs
        actions = {} if known else {"actions": {"upload": {"href": f"{self.hub.url}/blobs/{one['oid']}"}}}
        return {"oid": one["oid"], "size": one["size"], **actions}

    def _sha(self, repo: str) -> str:
        return hashlib.sha1(json.dumps(sorted(self.hub.repos[repo])).encode(), usedforsecurity=False).hexdigest()

    def _file(self, repo: str, data: bytes) -> None:
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": self._sha(repo)}
        self._send(200, data, headers)

    def _lost(self, code: str = "RepoNotFound") -> None:
        self._send(404, b'{"error": "not found"}', {"X-Error-Code": code, "X-Error-Message": "not found"})

    def _json(self, value: object, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _mode(path: str) -> str:
    return "lfs" if path.endswith((".parquet", ".png")) else "regular"


def _planned(path: str, known: dict[str, bytes]) -> dict[str, Any]:
    entry = _entry(path, known[path]) if path in known else {}
    oid = entry.get("lfs", entry).get("oid")
    return {"path": path, "uploadMode": _mode(path), "shouldIgnore": False, "oid": oid}


def _entry(path: str, data: bytes) -> dict[str, Any]:
    oid = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    lfs = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return {
        "type": "file",
        "path": path,
        "size": len(data),
        "oid": oid,
        **({"lfs": lfs} if _mode(path) == "lfs" else {}),
    }
