"""Whether a teacher is still the model it was: a few fixed questions at a run's start, and their answers before."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from schemas.ask import Request, Sampling, Turn
from schemas.errors import GenerationError, TeacherError
from teachers.answer import Answer
from teachers.canary.log import Check, Said, append_check, log_of, read_checks

FOLDER: Final = ".canary"
"""Where the checks are kept, below a corpus's `replies`; no source's folder starts with a dot."""

QUESTIONS: Final = (
    "Explain in one sentence what a pulmonary embolism is.",
    "Explain in one sentence what appendicitis is.",
    "Describe how blood flows through the heart.",
    "Name one difference between an artery and a vein.",
    "What does an electrocardiogram record?",
    "Explain to a child what an MRI scanner does.",
    "What is a cataract?",
    "How does a vaccine work?",
)
"""Of 17 that were tried, those that parted small changes from large ones best; an edited one has no history."""

SAMPLING: Final = Sampling(max_tokens=24, temperature=0.0, seed=7)

AGREEMENT: Final = 0.5
"""Below this mean share of each answer that is as before, from its start, it is another model.

Servers that batch round differently from batch to batch: now and then an answer goes another way from some
token on, which costs at most its own share. Measured on SmolLM2-135M, the first three questions: other
attention kernels, an 8-bit cache or one weight in 2,000 moved by a quantum leave 0.80 or more, one weight
in 40 leaves 0.22 (docs/log.md; the questions were chosen on the same trials).
"""

COMPARED: Final = ("root", "max_model_len", "size", "n_params", "n_vocab", "n_embd", "ftype")
"""What a server says of its model and keeps saying (vLLM has the first two, llama.cpp the others)."""

Describe = Callable[[], Awaitable[bytes]]
"""Gives the body of GET /models; empty when there is none."""


async def check(
    identity: Mapping[str, str],
    folder: Path,
    num: int,
    ask: Callable[[Request], Awaitable[Answer]],
    describe: Describe | None = None,
) -> str:
    """Ask the first `num` questions, one after the other, and compare with every check before; keep this one.

    Returns "" or a sentence for a person. A server that does not answer has not changed: "". Answers that
    differ are asked for once more before they count. CorpusError when the check cannot be kept.
    """
    path = log_of(folder, identity)
    earlier = read_checks(path)
    known = _known(earlier)
    try:
        answers = [await _settled(question, ask, known.get(question, set())) for question in QUESTIONS[:num]]
        about = read_about(await describe(), identity["model"]) if describe is not None else {}
    except TeacherError:
        return ""
    said = tuple(answer for answer in answers if answer is not None)
    if not said:
        return ""
    now = Check(datetime.now(UTC).isoformat(timespec="seconds"), said, about)
    drift = drift_of(identity["name"], earlier, now)
    append_check(path, identity, replace(now, drift=drift))
    return drift


def drift_of(name: str, earlier: Sequence[Check], now: Check) -> str:
    """One sentence about what changed since the first check, or "" when nothing did that means something."""
    known = _known(earlier)
    compared = [said for said in now.answers if said.question in known]
    shares = [max(_share(said.text, text) for text in known[said.question]) for said in compared]
    faults: list[str] = []
    if shares and sum(shares) / len(shares) < AGREEMENT:
        changed = sum(said.text not in known[said.question] for said in compared)
        before = next(each for check in earlier for each in check.answers if each.question == compared[0].question)
        servers = _changes(asdict(before.server), asdict(compared[0].server), tuple(asdict(before.server)))
        faults.append(f"{changed} of {len(compared)} canary answers are others" + (f" ({servers})" if servers else ""))
    about = [each.about for each in earlier if each.about]
    if about and (described := _changes(about[0], now.about, COMPARED)):
        faults.append(f"the server describes its model otherwise ({described})")
    if not faults:
        return ""
    return f"teacher {name!r} may not be the model that it was on {earlier[0].at}: {', and '.join(faults)}"


def read_about(body: bytes, model: str) -> dict[str, Any]:
    """What GET /models says of `model`, or of the only model there is; empty where it says nothing."""
    try:
        models: list[Any] = orjson.loads(body)["data"]
        named = [each for each in models if each["id"] == model] or models
        one: dict[str, Any] = dict(named[0]) if len(named) == 1 else {}
        meta: dict[str, Any] = dict(one.get("meta") or {})
    except (ValueError, LookupError, TypeError):
        return {}
    kept = ("id", "owned_by", *COMPARED)
    return {key: value for key, value in {**meta, **one}.items() if key in kept and isinstance(value, str | int)}


async def _settled(question: str, ask: Callable[[Request], Awaitable[Answer]], known: set[str]) -> Said | None:
    """The answer to one question; asked once more when it is new, None when the server refuses the question."""
    request = Request("canary", (Turn("user", question),), sampling=SAMPLING)
    said: Said | None = None
    for _ in range(2 if known else 1):
        try:
            reply, facts = await ask(request)
        except GenerationError:
            return None
        said = Said(question, f"{reply.reasoning}{reply.content}".strip(), facts)
        if said.text in known:
            break
    return said if said is not None and said.text else None


def _known(checks: Sequence[Check]) -> dict[str, set[str]]:
    """Every answer that was taken for the model's own, by question."""
    known: dict[str, set[str]] = {}
    for each in checks:
        if not each.drift:
            for said in each.answers:
                known.setdefault(said.question, set()).add(said.text)
    return known


def _share(one: str, other: str) -> float:
    """How much of the longer text both start with, 0 to 1."""
    longest = max(len(one), len(other))
    same = next((at for at, (left, right) in enumerate(zip(one, other, strict=False)) if left != right), None)
    return (min(len(one), len(other)) if same is None else same) / longest


def _changes(before: Mapping[str, Any], after: Mapping[str, Any], keys: Sequence[str]) -> str:
    """The values that both have and that differ, as words."""
    both = [key for key in keys if before.get(key) and after.get(key) and before[key] != after[key]]
    return ", ".join(f"{key} {before[key]} -> {after[key]}" for key in both)
