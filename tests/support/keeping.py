"""Keeping numbered replies, as tests of kept replies do; run as a process, one that is there to be killed.

    python -m tests.support.keeping CORPUS MIRROR SEGMENT_BYTES NUM

keeps NUM replies, waits until the mirror has every full segment, says so, and stays;

    python -m tests.support.keeping CORPUS

keeps replies for ever, prints each one's key when it is kept, and compacts all the time.
"""

import itertools
import sys
import time
from pathlib import Path

from schemas.ask import Reply, Request, Turn
from teachers.answer import ServerFacts
from teachers.replay.keys import request_key
from teachers.replay.log import ReplyLog
from teachers.replay.mirror import Mirror

WHO = {"name": "t", "model": "m", "revision": "1"}
FACTS = ServerFacts("m", "fp_1", "vllm/1")


def request(text: str) -> Request:
    """A request of one turn."""
    return Request("generate", (Turn("user", text),))


def key_of(text: str) -> str:
    """The key of the request that asks `text`."""
    return request_key(WHO, request(text))


def put(log: ReplyLog, text: str, answer: str = "", flow: str = "captioning", who: tuple[str, str] = ("m", "1")) -> str:
    """Keep a reply to `text`; its key."""
    asked = request(text)
    model, revision = who
    reply = Reply(
        answer or f"answer to {text}",
        teacher="t",
        model=model,
        revision=revision,
        prompt_tokens=3,
        completion_tokens=4,
        usd=0.25,
    )
    log.put(key_of(text), asked, reply, FACTS, flow)
    return key_of(text)


def fill(root: Path, num: int, **facts: str) -> list[str]:
    """Keep so many replies in source "s", shard "0"; their keys."""
    with ReplyLog(root, "s", "0") as log:
        return [put(log, f"question {index}", **facts) for index in range(num)]


def keep_and_stay(root: Path, url: str, segment_bytes: int, num: int) -> None:
    """Keep, wait for the mirror, say "sealed", and wait to be killed."""
    with Mirror(url, segment_bytes, segment_s=3_600) as mirror, ReplyLog(root, "s", "0", mirror) as log:
        for index in range(num):
            put(log, f"question {index}")
        deadline = time.monotonic() + 20
        while mirror.num_unsent_bytes >= segment_bytes and time.monotonic() < deadline:
            time.sleep(0.01)
        print(mirror.warning() or "sealed", flush=True)
        time.sleep(3_600)


def keep_and_compact(root: Path) -> None:
    """Keep and compact without end; a key is printed once its reply is kept."""
    with ReplyLog(root, "s", "0") as log:
        for index in itertools.count():
            print(put(log, f"question {index}"), flush=True)
            if index % 5 == 4:
                log.compact()


if __name__ == "__main__" and len(sys.argv) == 2:
    keep_and_compact(Path(sys.argv[1]))
elif __name__ == "__main__":
    keep_and_stay(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
