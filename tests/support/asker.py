"""A process that asks an endpoint numbered questions: for tests that kill it.

    python -m tests.support.asker URL CORPUS NUM IN_FLIGHT

prints one JSON object when it ends: how many were answered, how many of them from kept replies.
"""

import asyncio
import json
import sys
from pathlib import Path

from tests.support.asking import asking, request, teacher


async def ask_all(url: str, root: Path, num: int, in_flight: int) -> None:
    async with asking(teacher(url, max_in_flight=in_flight), root) as (ask, usage, replies):
        texts = await asyncio.gather(*(ask(request(f"question {index}")) for index in range(num)))
        counts = {"num_requests": usage.num_requests, "num_replayed": usage.num_replayed}
        print(json.dumps({**counts, "num_texts": len(texts), "num_broken": replies.num_broken}))


if __name__ == "__main__":
    url, root, num, in_flight = sys.argv[1:]
    asyncio.run(ask_all(url, Path(root), int(num), int(in_flight)))
