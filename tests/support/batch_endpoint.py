"""An OpenAI-compatible server with /files and /batches: every line of a batch gets a deterministic reply.

    python -m tests.support.batch_endpoint --folder DIR [--port 0] [--complete-ms N]

prints its base URL on the first line. Its state is on disk: started again on the same folder it goes on.
`paid.log` in the folder gets one line per paid completion (SHA-256 of the body, and by which way) before
anyone can read it; the replies are those of `tests.support.endpoint`.
"""

import argparse
import asyncio
import hashlib
import itertools
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from tests.support.answering import completion, error

MAX_BODY = 256 << 20


@dataclass
class BatchBehavior:
    """How the server behaves; may be changed while it runs.

    A batch ends `complete_ms` after its creation, as `end_as`. Bodies with `refuse` get 400 everywhere,
    bodies with `fail_lines` 500 in batches and an answer online. With `expire_after` so many lines are
    answered and the batch expires. The first `num_full` batches fail because the queue is full.
    `failing` counts, per point, requests still to be answered with 500; at the point `hold` a request
    waits for `released`. Points: upload, create (before anything happened), created (after it did), poll, list,
    content (a download is half sent, then broken off or held). The first `num_cut` downloads lack their last
    line. `key` is the bearer token; `has_batches` false makes /files and /batches 404.
    """

    complete_ms: float = 0.0
    end_as: str = "completed"
    refuse: str = ""
    fail_lines: str = ""
    expire_after: int | None = None
    num_full: int = 0
    failing: Counter[str] = field(default_factory=Counter[str])
    hold: str = ""
    num_cut: int = 0
    key: str = ""
    has_batches: bool = True


@dataclass
class BatchEndpoint:
    """The running server. `held` is set once a request waits at the point `hold`, which ends when a test sets
    `released`; `polled` is set at the first poll.
    """

    folder: Path
    behavior: BatchBehavior
    url: str = ""
    calls: Counter[str] = field(default_factory=Counter[str])
    headers: list[dict[str, str]] = field(default_factory=list)
    held: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    polled: asyncio.Event = field(default_factory=asyncio.Event)
    workers: set[asyncio.Task[None]] = field(default_factory=set)
    numbers: Any = field(default_factory=itertools.count)

    def paid(self) -> list[str]:
        """The digests of the bodies that were paid, in order."""
        return [line.split()[0] for line in self._log().splitlines()]

    def ways(self) -> Counter[str]:
        """How many completions were paid by each way: batch, online."""
        return Counter(line.split()[1] for line in self._log().splitlines())

    def batches(self) -> list[dict[str, Any]]:
        """Every batch, the newest first."""
        batches = [json.loads(path.read_text()) for path in (self.folder / "batches").glob("*.json")]
        return sorted(batches, key=lambda batch: batch["created_at"], reverse=True)

    def files(self) -> list[Path]:
        """Every file that was not deleted."""
        return sorted((self.folder / "files").iterdir())

    def start(self) -> None:
        """Go on with the batches on disk."""
        for name in ("files", "batches"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for batch in self.batches():
            if batch["status"] == "in_progress":
                self._work(batch)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        self._check(request, "online")
        status, answer = self._answer(await request.read(), "online")
        return web.json_response(answer, status=status)

    async def upload(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/files."""
        self._check(request, "upload")
        parts = await request.multipart()
        content, purpose, name = b"", "", ""
        while (part := await parts.next()) is not None:
            if part.name == "file":  # type: ignore[union-attr]
                content, name = bytes(await part.read()), part.filename or ""  # type: ignore[union-attr]
            else:
                purpose = await part.text()  # type: ignore[union-attr]
        assert purpose == "batch"
        await self._fault("upload")
        return web.json_response(self._new_file(content, name))

    async def content(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/files/ID/content."""
        self._check(request, "content")
        path = self.folder / "files" / request.match_info["id"]
        if not path.exists():
            raise _stop(404, f"No such File object: {path.name}")
        content = path.read_bytes()
        if self.behavior.num_cut:
            self.behavior.num_cut -= 1
            content = b"".join(content.splitlines(keepends=True)[:-1])
        response = web.StreamResponse()
        response.content_length = len(content)
        await response.prepare(request)
        await response.write(content[: len(content) // 2])
        if self.behavior.failing["content"] > 0:
            self.behavior.failing["content"] -= 1
            assert request.transport is not None
            request.transport.close()
            return response
        await self._fault("content")
        await response.write(content[len(content) // 2 :])
        return response

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """DELETE /v1/files/ID."""
        self._check(request, "delete")
        (self.folder / "files" / request.match_info["id"]).unlink(missing_ok=True)
        return web.json_response({"id": request.match_info["id"], "object": "file", "deleted": True})

    async def create(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/batches."""
        self._check(request, "create")
        asked = await request.json()
        await self._fault("create")
        if not (self.folder / "files" / asked["input_file_id"]).exists():
            raise _stop(400, f"Cannot find file {asked['input_file_id']}, or the project does not have access to it.")
        assert asked["endpoint"] == "/v1/chat/completions"
        number = len(self.batches())
        batch = {
            **{key: asked[key] for key in ("input_file_id", "endpoint", "completion_window", "metadata")},
            "id": f"batch_{number}",
            "object": "batch",
            "created_at": number,
            "status": "in_progress",
        }
        self._save(batch)
        self._work(batch)
        await self._fault("created")
        return web.json_response(batch)

    async def retrieve(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/batches/ID."""
        self._check(request, "poll")
        self.polled.set()
        await self._fault("poll")
        return web.json_response(self._batch(request))

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/batches/ID/cancel: it ends at once with what was answered."""
        self._check(request, "cancel")
        batch = self._batch(request)
        if batch["status"] == "in_progress":
            self._end(batch, "cancelled", 0)
        return web.json_response(batch)

    async def list_all(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/batches, newest first, two a page so that clients must turn pages."""
        self._check(request, "list")
        await self._fault("list")
        batches, after = self.batches(), request.query.get("after")
        first = 1 + next((i for i, batch in enumerate(batches) if batch["id"] == after), -1)
        page = batches[first : first + 2]
        more = first + 2 < len(batches)
        return web.json_response({"object": "list", "data": page, "has_more": more})

    def _check(self, request: web.Request, call: str) -> None:
        self.calls[call] += 1
        self.headers.append(dict(request.headers))
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.behavior.key and token != self.behavior.key:
            raise _stop(401, f"Incorrect API key provided: {token}")
        if call != "online" and not self.behavior.has_batches:
            raise _stop(404, "Not Found")

    async def _fault(self, point: str) -> None:
        if self.behavior.failing[point] > 0:
            self.behavior.failing[point] -= 1
            raise _stop(500, "the server is failing on purpose")
        if self.behavior.hold == point:
            self.held.set()
            await self.released.wait()

    def _answer(self, body: bytes, way: str) -> tuple[int, dict[str, Any]]:
        refuse, fail = self.behavior.refuse.encode(), self.behavior.fail_lines.encode()
        if refuse and refuse in body:
            return 400, error(400, "this prompt is refused for good")
        if way == "batch" and fail and fail in body:
            return 500, error(500, "this line fails on purpose")
        digest = hashlib.sha256(body).hexdigest()
        with (self.folder / "paid.log").open("a", encoding="ascii") as log:
            log.write(f"{digest} {way}\n")
        return 200, completion(body, digest)

    def _work(self, batch: dict[str, Any]) -> None:
        worker = asyncio.create_task(self._finish(batch["id"]))
        self.workers.add(worker)
        worker.add_done_callback(self.workers.discard)

    async def _finish(self, batch_id: str) -> None:
        await asyncio.sleep(self.behavior.complete_ms / 1000)
        batch = next(batch for batch in self.batches() if batch["id"] == batch_id)
        if batch["status"] != "in_progress":
            return
        if self.behavior.num_full:
            self.behavior.num_full -= 1
            batch["errors"] = {"object": "list", "data": [{"code": "token_limit_exceeded", "message": "queue full"}]}
            self._save({**batch, "status": "failed"})
        elif self.behavior.end_as == "failed":
            batch["errors"] = {"object": "list", "data": [{"code": "invalid_json", "message": "no good", "line": 1}]}
            self._save({**batch, "status": "failed"})
        else:
            expires = self.behavior.expire_after
            self._end(batch, self.behavior.end_as if expires is None else "expired", expires)

    def _end(self, batch: dict[str, Any], status: str, num_answered: int | None) -> None:
        """Answer the first lines, all of them for None; results are in another order than requests."""
        lines = [orjson.loads(line) for line in self._lines(batch)]
        random.Random(batch["id"]).shuffle(lines)
        good: list[bytes] = []
        bad: list[bytes] = []
        for number, line in enumerate(lines):
            if num_answered is not None and number >= num_answered:
                failure = {"code": f"batch_{status}", "message": "This request could not be executed in time."}
                bad.append(_result(line["custom_id"], None, failure))
                continue
            code, body = self._answer(orjson.dumps(line["body"]), "batch")
            response = {"status_code": code, "request_id": "r", "body": body}
            (good if code == 200 else bad).append(_result(line["custom_id"], response, None))
        batch["request_counts"] = {"total": len(lines), "completed": len(good), "failed": len(bad)}
        for name, results in (("output_file_id", good), ("error_file_id", bad)):
            if results:
                batch[name] = self._new_file(b"".join(results), f"{name}.jsonl")["id"]
        batch["status"] = status
        self._save(batch)

    def _lines(self, batch: dict[str, Any]) -> list[bytes]:
        lines = (self.folder / "files" / batch["input_file_id"]).read_bytes().splitlines()
        names = [orjson.loads(line)["custom_id"] for line in lines]
        assert len(names) == len(set(names)) and all(len(name) <= 64 for name in names)
        return lines

    def _new_file(self, content: bytes, name: str) -> dict[str, Any]:
        number = self.calls["file"] = max(self.calls["file"], len(self.files())) + 1
        file_id = f"file-{number}-{hashlib.sha256(content).hexdigest()[:12]}"
        (self.folder / "files" / file_id).write_bytes(content)
        facts = {"id": file_id, "object": "file", "bytes": len(content), "created_at": 0, "status": "processed"}
        return {**facts, "filename": name, "purpose": "batch"}

    def _batch(self, request: web.Request) -> dict[str, Any]:
        path = self.folder / "batches" / f"{request.match_info['id']}.json"
        if not path.exists():
            raise _stop(404, f"No batch found with id '{path.stem}'.")
        return json.loads(path.read_text())

    def _save(self, batch: dict[str, Any]) -> None:
        (self.folder / "batches" / f"{batch['id']}.json").write_text(json.dumps(batch))

    def _log(self) -> str:
        path = self.folder / "paid.log"
        return path.read_text() if path.exists() else ""


def _result(key: str, response: dict[str, Any] | None, failure: dict[str, str] | None) -> bytes:
    return orjson.dumps({"id": "r", "custom_id": key, "response": response, "error": failure}) + b"\n"


def _stop(status: int, message: str) -> web.HTTPException:
    stop = web.HTTPException(text=json.dumps(error(status, message)), content_type="application/json")
    stop.set_status(status)
    return stop


@asynccontextmanager
async def serve_batches(
    folder: Path, behavior: BatchBehavior | None = None, *, port: int = 0
) -> AsyncIterator[BatchEndpoint]:
    """The server on a loopback port (0: a free one), for as long as the block lasts."""
    endpoint = BatchEndpoint(folder, behavior or BatchBehavior())
    endpoint.start()
    app = web.Application(client_max_size=MAX_BODY)
    app.router.add_post("/v1/chat/completions", endpoint.complete)
    app.router.add_post("/v1/files", endpoint.upload)
    app.router.add_get("/v1/files/{id}/content", endpoint.content)
    app.router.add_delete("/v1/files/{id}", endpoint.delete)
    app.router.add_post("/v1/batches", endpoint.create)
    app.router.add_get("/v1/batches", endpoint.list_all)
    app.router.add_get("/v1/batches/{id}", endpoint.retrieve)
    app.router.add_post("/v1/batches/{id}/cancel", endpoint.cancel)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield endpoint
    finally:
        for worker in endpoint.workers:
            worker.cancel()
        await runner.cleanup()


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--complete-ms", type=float, default=0.0)
    options = parser.parse_args()
    behavior = BatchBehavior(complete_ms=options.complete_ms)
    async with serve_batches(options.folder, behavior, port=options.port) as endpoint:
        print(endpoint.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    try:
        asyncio.run(_main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
