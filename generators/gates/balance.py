"""balance: no answer letter and neither yes nor no wins by being frequent."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from schemas.conversation import BatchGate, Verdict
from schemas.sample import Sample

_LETTER: Final = re.compile(r"(?:\A|</think>\s*)([A-H])\. ")


def balanced(max_answer_share: float, max_letter_share: float, min_balanced: int) -> BatchGate:
    """Refuses `unbalanced`: answers beyond their share of a task's samples, the later ones first.

    Up to `min_balanced` equal answers always pass. The verdicts are in the samples' order.
    """
    shares = {"yes_no": max_answer_share, "multiple_choice": max_letter_share}

    def check(samples: Sequence[Sample]) -> Sequence[Verdict]:
        answers = [answer_of(sample) for sample in samples]
        counts = Counter(answers)
        totals = Counter(kind for kind, _ in answers)
        seen: Counter[tuple[str, str]] = Counter()
        verdicts: list[Verdict] = []
        for kind, answer in answers:
            seen[kind, answer] += 1
            others = totals[kind] - counts[kind, answer]
            limit = max(min_balanced, limit_of(others, shares.get(kind, 1.0)))
            passed = not answer or seen[kind, answer] <= limit
            detail = "" if passed else f"{answer}: {counts[kind, answer]} of {totals[kind]}"
            verdicts.append(Verdict("balance", passed, "" if passed else "unbalanced", detail))
        return verdicts

    return check


def limit_of(num_others: int, share: float) -> int:
    """How many equal answers there may be beside `num_others` different ones."""
    return 2**31 if share >= 1 else math.floor(share / (1 - share) * num_others + 1e-9)


def answer_of(sample: Sample) -> tuple[str, str]:
    """The kind of answer and the answer as far as balance cares: a letter, yes or no; "" for all else."""
    if sample.answer_type == "yes_no":
        return "yes_no", (sample.gold or "").strip().casefold()
    if sample.answer_type == "multiple_choice":
        parts = cast(Sequence[Mapping[str, Any]], sample.messages[-1]["content"])
        found = _LETTER.search("".join(part.get("text") or "" for part in parts))
        return "multiple_choice", found[1] if found else ""
    return sample.answer_type, ""
