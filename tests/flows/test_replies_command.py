"""`calabash replies stats` and `calabash replies gc` as a person calls them."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from corpus.commit.entries import CommitEntry, encode_entry
from corpus.layout import commit_path
from flows.commands.replies import app
from schemas.errors import ConfigError
from teachers.replay.log import ReplyLog
from tests.support.keeping import put

MODELS = ("committed", "judging", "now", "forgotten")
PIPELINE = """
corpus = "corpus"

[teachers.t]
base_url = "http://127.0.0.1:9/v1"
model = "now"
revision = "1"
locality = "loopback"

[flows.captioning]
teacher = "t"
sources = ["s"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A pipeline with replies of three models: one committed, one in pipeline.toml, one that nobody names."""
    (tmp_path / "pipeline.toml").write_text(PIPELINE)
    with ReplyLog(tmp_path / "corpus", "s", "0") as log:
        for model in MODELS:
            put(log, model, who=(model, "1"))
    for path in (tmp_path / "corpus").glob("replies/*/*/*"):
        os.utime(path, (time.time() - 700,) * 2)
    return tmp_path / "pipeline.toml"


def commit(config: Path) -> None:
    judge, teacher = ({"name": "t", "model": model, "revision": "1"} for model in ("judging", "committed"))
    recipe = {"teacher": teacher, "judge": judge, "seed": 7}
    entry = CommitEntry("f" * 32, "captioning", "s", "0", 0, 1, "0" * 64, recipe, (), None, (), {})
    path = config.parent / "corpus" / commit_path("captioning", "f" * 32)
    path.parent.mkdir(parents=True)
    path.write_bytes(encode_entry(entry))


def say(config: Path, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--config", str(config)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def said(config: Path, *words: str) -> Any:
    return json.loads(say(config, *words, "--json"))


def test_stats_says_for_whom_and_for_how_much(config: Path) -> None:
    stats = said(config, "stats")
    told = {row["model"]: (row["flow"], row["source"], row["num_replies"], row["usd"]) for row in stats["replies"]}
    assert told == dict.fromkeys(MODELS, ("captioning", "s", 1, 0.25))
    assert stats["num_line_files"] == 1
    assert stats["num_broken"] == 0


def test_gc_compresses_and_keeps_everybodys_replies(config: Path) -> None:
    done = said(config, "gc")
    assert [(block["num_kept"], block["num_unnamed"]) for block in done["blocks"]] == [(4, 0)]
    stats = said(config, "stats")
    assert (stats["num_line_files"], stats["num_tables"], len(stats["replies"])) == (0, 1, 4)


def test_unnamed_drops_who_is_named_neither_by_an_entry_nor_by_the_pipeline(config: Path) -> None:
    commit(config)
    assert "would drop 0 duplicates, 0 broken lines and 1 replies" in " ".join(
        say(config, "gc", "--unnamed", "--dry-run").split()
    )
    assert len(said(config, "stats")["replies"]) == 4
    said(config, "gc", "--unnamed")
    assert [row["model"] for row in said(config, "stats")["replies"]] == ["committed", "judging", "now"]


def test_unnamed_refuses_where_nothing_was_ever_committed(config: Path) -> None:
    with pytest.raises(ConfigError, match="no commit entry"):
        say(config, "gc", "--unnamed")
    assert len(said(config, "stats")["replies"]) == 4
