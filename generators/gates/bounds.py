"""The thresholds of the gates: what `[flows.X.gates]` may say."""

from typing import Annotated

from pydantic import Field

from schemas.pipeline import Table

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class Bounds(Table):
    """Thresholds; what is None is the generator's own (`generators.gates.length.WORDS`).

    Defaults are those of medical-data.md 4.2: top 4-gram share 0.2, repeated lines 0.3, compression
    ratio 5, judge 0.9. `language_chars` is how much text the language detector reads, and below
    `min_language_chars` only the script is checked, because detectors guess on less.
    """

    min_words: Count | None = None
    max_words: Count | None = None
    max_4gram_share: Share = 0.2
    max_line_share: Share = 0.3
    max_compression: Annotated[float, Field(gt=1)] = 5.0
    language_chars: Annotated[int, Field(ge=50, le=2_000)] = 300
    min_language_chars: Count = 25
    min_script_share: Share = 0.5
    max_blind_share: Share = 0.5
    min_judge_score: Share = 0.9
    sides_need_facts: bool = False
    """Refuse "left" and "right" that no fact gives (for teachers that see nothing)."""
    max_new_words: Share = 0.4
    """The largest share of distinct content words that a teacher which sees nothing may add to the facts."""
    max_answer_share: Share = 0.6
    """The largest share of a task's yes-no answers that may be the same one."""
    max_letter_share: Share = 0.4
    """The largest share of a task's multiple-choice answers that may have the same letter."""
    min_balanced: Count = 4
    """As many equal answers as this always pass: small tasks cannot be balanced."""
