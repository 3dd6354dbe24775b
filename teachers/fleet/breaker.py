"""When to stop asking a teacher at all: bad answers counted, one message for everyone."""

from typing import Final, NoReturn

from schemas.errors import GenerationError, TeacherError, TransientError
from teachers.failures import FAILED

NUM_BAD_AT_START: Final = 5
"""So many bad answers before the first good one, and the endpoint is not what it is taken for."""

NUM_BAD_IN_A_ROW: Final = 20
"""So many bad answers in a row from an endpoint that was good, and something happened to it."""

GO_ON: Final = "every reply so far is kept, and running again goes on from here"
"""What every sentence that stops a run ends with."""


class Breaker:
    """Tells one bad answer from a bad teacher; once tripped, every ask ends with the same TeacherError."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.message: str | None = None
        self.was_good = False
        self._num_bad = 0
        self._last = ""

    def check(self) -> None:
        """TeacherError when the teacher was given up."""
        if self.message is not None:
            raise TeacherError(self.message)

    def good(self) -> None:
        """Note a usable answer."""
        self.was_good, self._num_bad = True, 0

    def bad(self, what: str) -> None:
        """Note an unusable answer or a request that failed for good; TeacherError when they are too many."""
        self._num_bad += 1
        self._last = what
        if self._num_bad >= (NUM_BAD_IN_A_ROW if self.was_good else NUM_BAD_AT_START):
            self._give_up_on_answers()

    def vouch(self) -> None:
        """TeacherError when there were answers and not one was good: what they led to is not to be kept."""
        if self._num_bad and not self.was_good:
            self._give_up_on_answers()

    def failed(self, error: TransientError, num_tries: int) -> NoReturn:
        """End a request whose last try failed: the request alone when the teacher works for others.

        Raises GenerationError ("teacher-failed") when others were answered, else TeacherError.
        """
        if not self.was_good:
            self.trip(f"{error} ({num_tries} tries); start it, wait for it, or check base_url: {GO_ON}")
        failed = GenerationError(FAILED, f"{error} ({num_tries} tries)")
        self.bad(str(failed))
        raise failed from None

    def trip(self, message: str) -> NoReturn:
        """Stop asking this teacher."""
        self.message = message
        raise TeacherError(message) from None

    def _give_up_on_answers(self) -> NoReturn:
        self.trip(
            f"{self.where}: {self._num_bad} answers in a row are unusable, the last: {self._last}; check that "
            "base_url leads to an OpenAI-compatible server that serves this model"
        )
