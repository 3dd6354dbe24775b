"""The least one can do: aiohttp, so many workers, one JSON line per answer. No retry, no replay, no check."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import aiohttp
from common import encoded, options, report, rows

CHOSEN = options()


def content(row: dict[str, Any]) -> Any:
    """The user turn: text alone, or text and a picture."""
    if "image" not in row:
        return row["prompt"]
    url = f"data:image/jpeg;base64,{encoded(row['image'])}"
    return [{"type": "text", "text": row["prompt"]}, {"type": "image_url", "image_url": {"url": url}}]


async def work(cases: Any, session: aiohttp.ClientSession, file: Any) -> int:
    """Ask one case after the other until there is none; how many were answered."""
    done = 0
    for row in cases:
        body = {"model": "bench-model", "messages": [{"role": "user", "content": content(row)}]}
        async with session.post(f"{CHOSEN.url}/chat/completions", json=body) as response:
            data = await response.json()
        text = data["choices"][0]["message"]["content"]
        file.write(json.dumps({**row, "completion": text}) + "\n")
        done += 1
    return done


async def main() -> int:
    """Every case; how many were answered."""
    cases = iter(rows(CHOSEN))
    with (Path(CHOSEN.folder) / "out.jsonl").open("w") as file:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            return sum(await asyncio.gather(*(work(cases, session, file) for _ in range(CHOSEN.in_flight))))


if __name__ == "__main__":
    began = time.perf_counter()
    try:
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    except ImportError:
        pass
    count = asyncio.run(main())
    report(count, count, began)
