"""Every error raised on purpose: one class per reaction.

* PipelineError
  x ConfigError (ValueError)        stop: pipeline.toml or a command asks for something that cannot be
  x PolicyError (PermissionError)   stop: this record may not go to this teacher
  x SourceError (OSError)           stop: an upstream file is missing, changed or unreadable
  x TeacherError (RuntimeError)     stop: the endpoint will not do this
    + TransientError                ask again: it may succeed
  x GenerationError (ValueError)    drop, count, keep: answered, and unusable
  x CorpusError (ValueError)        stop: a shard or its manifest is broken, or cannot be written

A message says what is wrong, where, the offending value, and what to do. Never a key, never patient text.
"""

from typing import ClassVar


class PipelineError(Exception):
    """The base of all; `exit_code` is what the command line ends with."""

    exit_code: ClassVar[int] = 1


class ConfigError(PipelineError, ValueError):
    """pipeline.toml, a catalogue entry or a command line says something it may not."""

    exit_code: ClassVar[int] = 2


class SourceError(PipelineError, OSError):
    """An upstream file is missing, changed or unreadable."""

    exit_code: ClassVar[int] = 3


class TeacherError(PipelineError, RuntimeError):
    """An endpoint is unreachable, unauthorized or unable."""

    exit_code: ClassVar[int] = 4


class TransientError(TeacherError):
    """The same request may succeed later; `retry_after` is the server's own wish, in seconds."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CorpusError(PipelineError, ValueError):
    """A shard, a commit entry or a snapshot is broken, missing or cannot be written."""

    exit_code: ClassVar[int] = 5


class PolicyError(PipelineError, PermissionError):
    """A record may not go to a teacher, or a licence forbids what was asked."""

    exit_code: ClassVar[int] = 6


class GenerationError(PipelineError, ValueError):
    """A teacher answered and nothing usable came of it: `reason` is counted, `detail` is kept.

    `reason` is a short stable slug such as `"unparseable"` or `"teacher-refused"`.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["GenerationError"], tuple[str, str]]:
        """Survive a process pool."""
        return type(self), (self.reason, self.detail)
