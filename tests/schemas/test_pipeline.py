"""pipeline.toml: every key known, every error a sentence for a person."""

from pathlib import Path

import pytest

from schemas.errors import ConfigError
from schemas.pipeline import load

GOOD = """
[teachers.embedded]
model = "embedded:smollm2"

[flows.captioning]
teacher = "embedded"
sources = ["pydicom-images"]
"""


def _load(folder: Path, text: str) -> str:
    path = folder / "pipeline.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    return str(caught.value)


def test_a_good_file_loads(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.toml"
    path.write_text(GOOD)
    pipeline = load(path)
    assert pipeline.flow("captioning").records_per_task == 4096
    assert pipeline.teacher("embedded").is_embedded


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("teacher =", "teachr ="), ["flows.captioning.teachr", "flows.captioning.teacher"]),
        (("[flows.captioning]", "[flows.captionning]"), ["captionning", "captioning"]),
        (('"embedded"\nsources', '"embeded"\nsources'), ["embeded", "embedded"]),
        (('sources = ["pydicom-images"]', "sources = []"), ["flows.captioning.sources", "[]"]),
        (('model = "embedded:smollm2"', 'model = "gpt"'), ["teachers.embedded", "base_url"]),
        (('"embedded:smollm2"', '"embedded:smollm2"\nmax_in_flight = 0'), ["max_in_flight", "0"]),
        (("[teachers.embedded]", "[teachers.embedded"), ["not valid TOML"]),
    ],
)
def test_a_mistake_is_named_with_its_place_and_a_way_out(
    tmp_path: Path, change: tuple[str, str], words: list[str]
) -> None:
    message = _load(tmp_path, GOOD.replace(*change, 1))
    assert "pipeline.toml" in message
    for word in words:
        assert word in message


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--config"):
        load(tmp_path / "nothing.toml")


@pytest.mark.parametrize("more", ["quota = { CT = 5 }", "[[stages]]\nname = 'align'"])
def test_what_nothing_reads_yet_is_an_error_and_not_ignored(tmp_path: Path, more: str) -> None:
    assert "unknown key" in _load(tmp_path, f"{GOOD}{more}\n")
