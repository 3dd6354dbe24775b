"""Replies are found by record and content, however tasks are cut."""

from pathlib import Path

from schemas.ask import Reply, Request, Turn
from teachers.answer import ServerFacts
from teachers.replay.blocks import BLOCK_RECORDS, Replies

REQUEST = Request("generate", (Turn("user", "What is shown?"),))


def test_a_reply_is_found_again_by_any_cut_of_the_shard(tmp_path: Path) -> None:
    with Replies(tmp_path, "source", "shard") as replies:
        replies.of(5).put("key", REQUEST, Reply("A nodule."), ServerFacts())
    with Replies(tmp_path, "source", "shard") as replies:
        kept = replies.of(BLOCK_RECORDS - 1).get("key")
        assert kept is not None and kept.content == "A nodule."
        assert replies.of(BLOCK_RECORDS).get("key") is None


def test_a_task_reads_the_logs_of_its_own_block_only(tmp_path: Path) -> None:
    with Replies(tmp_path, "source", "shard") as replies:
        for position in (0, BLOCK_RECORDS, 2 * BLOCK_RECORDS):
            replies.of(position).put(f"key-{position}", REQUEST, Reply("?"), ServerFacts())
    with Replies(tmp_path, "source", "shard") as replies:
        assert list(replies.of(BLOCK_RECORDS + 7)) == [f"key-{BLOCK_RECORDS}"]
    assert len(list(tmp_path.glob("replies/source/*"))) == 3
