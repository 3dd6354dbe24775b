import urllib.request

import orjson
import pytest

from schemas.ask import Request, Sampling
from schemas.pipeline import Teacher
from schemas.record import Frame
from teachers.capability import lacks, prompt_tokens
from teachers.identity import embedded_model, gguf_of
from teachers.serving.embedded import serve
from tests.support.asking import SCHEMA, request, teacher

URL = "http://127.0.0.1:1/v1"
XRAY = Frame(b"", "image/png", 1_120, 840)
TEXTS = {
    "english": "Chest radiography demonstrates a right lower lobe consolidation with air bronchograms; there is no "
    "pleural effusion or pneumothorax. The cardiomediastinal silhouette is within normal limits.",
    "chinese": "胸部X线片显示右下肺实变影，可见支气管充气征，未见胸腔积液及气胸。心影大小正常，诊断为社区获得性肺炎。",
    "russian": "На рентгенограмме определяется инфильтрация в нижней доле правого лёгкого.",
    "json": '{"findings": [{"organ": "lung", "side": "right", "size_mm": [12.5, 9.1], "certain": true}], "id": 17}',
    "codes": "ICD-10-CM S82.231B, FOV=240, TR/TE 2300/2.98 ms, kVp 120, mAs 85.5, 1.2.840.10008.5.1.4.1.1.2",
}


def counted(url: str, text: str) -> int:
    """Tokens of the prompt of `request(text)`, as the server at `url` counts them."""
    turns = [{"role": turn.role, "content": turn.text} for turn in request(text).turns]
    body = {"model": "m", "max_tokens": 1, "messages": turns}
    asked = urllib.request.Request(f"{url}/chat/completions", orjson.dumps(body), {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked) as answer:
        return orjson.loads(answer.read())["usage"]["prompt_tokens"]


def test_a_teacher_that_declares_everything_lacks_nothing() -> None:
    config = teacher(URL, accepts=["text", "image"], languages=["en", "de"], context_tokens=8_192)
    assert lacks(config, request(schema=SCHEMA, frames=[XRAY], language="de")) == ""


def test_what_is_not_declared_either_way_is_taken_for_there() -> None:
    assert lacks(teacher(URL), request("word " * 100_000, schema=SCHEMA, language="zh")) == ""


@pytest.mark.parametrize(
    ("declared", "asked", "words"),
    [
        ({"accepts": ["text"]}, {"frames": [XRAY]}, "no vision"),
        ({"accepts": ["text", "video"]}, {"frames": [XRAY]}, "no vision"),
        ({"structured": "prompt"}, {"schema": SCHEMA}, "no replies held to a schema"),
        ({"languages": ["en"]}, {"language": "zh"}, "no language 'zh'"),
    ],
)
def test_what_is_missing_is_named(declared: dict[str, object], asked: dict[str, object], words: str) -> None:
    assert lacks(teacher(URL, **declared), request(**asked)) == words


def test_the_context_must_hold_prompt_and_reply() -> None:
    config = teacher(URL, context_tokens=4_096)
    asked = request("plain words " * 700, sampling=Sampling(max_tokens=1_000))
    assert lacks(config, asked) == ""
    longer = request("plain words " * 700, sampling=Sampling(max_tokens=2_000))
    needed = prompt_tokens(longer) + 2_000
    assert lacks(config, longer) == f"context of 4,096 tokens is too short for about {needed:,}"


def test_frames_count_by_their_pixels_up_to_what_the_teacher_looks_at() -> None:
    bare, one, two = (prompt_tokens(request(frames=[XRAY] * num)) for num in range(3))
    assert one - bare == pytest.approx(1_120 * 840 / 784, abs=6)
    assert two - one == pytest.approx(one - bare, abs=1)
    assert prompt_tokens(request(frames=[XRAY]), 78_400) - bare == pytest.approx(100, abs=6)
    seen = {"accepts": ["image"], "context_tokens": 1_000}
    assert lacks(teacher(URL, **seen, pictures={"max_pixels": 78_400}), request(frames=[XRAY])) == ""
    assert lacks(teacher(URL, **seen), request(frames=[XRAY])).startswith("context of 1,000 tokens")


def test_text_that_is_no_unicode_still_has_a_size() -> None:
    assert prompt_tokens(request("\ud800" * 100)) > 100
    assert prompt_tokens(Request("generate", ())) == 1


@pytest.mark.embedded
def test_estimates_are_near_what_a_real_tokenizer_counts() -> None:
    config = Teacher(model="embedded:smollm2")
    server = serve(gguf_of("e", embedded_model("e", config)), config.model)
    for name, text in TEXTS.items():
        real = counted(f"{server.listening_address}/v1", text)
        guess = prompt_tokens(request(text))
        assert 0.75 * real <= guess <= 1.75 * real, f"{name}: {guess} for {real}"
