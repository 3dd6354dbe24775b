"""One chat completion over one endpoint, and what each way of failing means."""

from schemas.errors import PipelineError
from schemas.pipeline import Teacher
from teachers.answer import Answer
from teachers.failures import NotACompletion, public_url, refusal
from teachers.policy import LOCAL, locality_of
from teachers.wire.completion import error_words, read_completion, shorten
from teachers.wire.transport import Response, Transport


class Client:
    """One endpoint of a teacher. `key` is None where it needs none; it is never shown."""

    def __init__(self, name: str, config: Teacher, url: str, key: str | None) -> None:
        self.url = url
        self.where = f"teacher {name!r} at {public_url(url)}"
        self._reasoning = config.reasoning
        is_local = locality_of(name, config) in LOCAL
        self._transport = Transport(self.where, url, key, config.timeout_s, trust_env=not is_local)

    async def complete(self, body: bytes) -> tuple[Answer, float]:
        """Send one chat completion; the answer and the seconds it took.

        Raises TransientError when the same request may succeed later, GenerationError when this one is
        refused or answered with nonsense, TeacherError when the endpoint will answer none.
        """
        response = await self._transport.post("chat/completions", body)
        if response.status != 200:
            raise self._refusal(response)
        version = response.headers.get("Server", "")
        try:
            return read_completion(response.content, self._reasoning, version), response.seconds
        except NotACompletion:
            words = shorten(self._transport.cleaned(response.content))
            raise NotACompletion(f"not a chat completion: {words}") from None

    async def is_well(self) -> bool:
        """Whether the endpoint answers at all; what it serves is another question."""
        response = await self._transport.get("models")
        return response is not None and response.status < 500

    async def describe(self) -> bytes:
        """What the server says it serves (GET /models); empty where it does not say."""
        response = await self._transport.get("models")
        return response.content if response is not None and response.status == 200 else b""

    async def close(self) -> None:
        """Close the endpoint's connections."""
        await self._transport.close()

    def _refusal(self, response: Response) -> PipelineError:
        words = error_words(self._transport.cleaned(response.content))
        return refusal(self.where, response.status, words, response.headers)
