"""language: the text is in the language that it was asked for, by script and by detector."""

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from generators.gates.said import assistant_text, whole_text
from schemas.conversation import Conversation, Gate, Verdict
from schemas.record import Record

SCRIPTS: Final[Mapping[str, str]] = {
    "zh": r"\u3400-\u9fff",
    "ja": r"\u3040-\u30ff\u3400-\u9fff",
    "ko": r"\uac00-\ud7af\u1100-\u11ff",
    "ru": r"\u0400-\u04ff",
    "ar": r"\u0600-\u06ff\u0750-\u077f",
    "hi": r"\u0900-\u097f",
}
"""Character ranges of the languages that have a script of their own; the others are Latin."""

_LATIN: Final = r"A-Za-z\u00c0-\u024f\u1e00-\u1eff"
_KANA: Final = re.compile(r"[\u3040-\u30ff]")
_LETTER: Final = re.compile(r"[^\W\d_]")
DECIDED_BY_SCRIPT: Final = frozenset({"zh", "ja", "ko", "hi"})
"""Their script says it all, and langdetect takes short Chinese for Korean and short Japanese for Chinese."""


def in_language(max_chars: int, min_chars: int, min_script_share: float, whole: bool) -> Gate:
    """Refuses `wrong-script` and `wrong-language`; `whole` reads the human turns too.

    Only the first `max_chars` characters are read; the detector is asked from `min_chars` letters on.
    """

    def check(record: Record, conversation: Conversation) -> Verdict:
        text = (whole_text if whole else assistant_text)(conversation)[:max_chars]
        language, letters = conversation.language, len(_LETTER.findall(text))
        if script_share(text, language) < min_script_share:
            return Verdict("language", False, "wrong-script", f"asked for {language}")
        if language in DECIDED_BY_SCRIPT or letters < min_chars:
            return Verdict("language", True)
        found = detect(text)
        passed = found == language
        return Verdict("language", passed, "" if passed else "wrong-language", f"{found}, asked for {language}")

    return check


def script_share(text: str, language: str) -> float:
    """The share of letters in the language's script; 0 for Japanese without kana and Chinese full of it."""
    letters = len(_LETTER.findall(text))
    own = len(re.findall(f"[{SCRIPTS.get(language, _LATIN)}]", text))
    kana = len(_KANA.findall(text))
    if not letters or (language == "ja" and not kana) or (language == "zh" and kana > letters / 10):
        return 0.0
    return min(own / letters, 1.0)


def detect(text: str) -> str:
    """ISO 639-1 code of the most likely language, "" when none can be told; the same every time."""
    code = _detector()(text)
    return code.partition("-")[0]


@functools.cache
def _detector() -> Callable[[str], str]:
    """langdetect, seeded because it draws lots otherwise; loading its profiles takes 0.4 s."""
    import langdetect

    library: Any = langdetect  # it has no types
    library.DetectorFactory.seed = 0

    def tell(text: str) -> str:
        try:
            return str(library.detect(text))
        except library.LangDetectException:
            return ""

    return tell
