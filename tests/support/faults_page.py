"""docs/faults.md, made of the table that the tests go by.

    python -m tests.support.faults_page

writes it again.
"""

from pathlib import Path

from tests.support.faults import AT_ONCE, FAULTS, GOES_ON, IN_A_ROW, WITH_PATIENCE, Fault

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"

INTRODUCTION = """# What goes wrong at an endpoint, and what comes of it

Each line is a test: `tests/teachers/test_faults.py` puts a teacher through it over real connections, to a server that
goes wrong byte for byte (`tests/support/faulty.py`). This page is made of the same table
(`python -m tests.support.faults_page`), and a test holds them together.

Whatever the fault: no other record is lost, nothing that was paid is asked again by the next run, the key is in no
sentence, redirects are never followed, and only a monotonic clock decides how long anything waits.

- **The record**: what becomes of a record whose request always meets the fault while others are answered. A reject
  keeps the server's words. *Waits* means that no reject is made: the next run asks it again.
- **Sent**: how often that request is sent with `max_retries = 2`. Where it is *while patience lasts*, busy and
  unreachable endpoints cost no try: fewer requests are in flight, and each waits. A request that is turned
  away by a gateway (502, 503) more than ten times while others are answered is taken to break what is behind it.
- **The run**: what becomes of it when every request meets the fault. One that *stops* ends with exit code 4, with every
  reply so far kept, and goes on from there when it is started again. Where `fallback` names a teacher that policy
  allows, that one is asked before the run stops.
- *Stops when many in a row fail*: at five unusable answers before the first good one, at twenty in a row after it.
- *Stops after patience_s*: a teacher that has answered is waited for so long (300 s unless set); one that never
  answered only for as long as `max_retries` retries take.

| What goes wrong | The record | Sent | The run | What the person reads |
|---|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    return INTRODUCTION + "".join(map(_line, FAULTS))


def _line(fault: Fault) -> str:
    cells = (f"`{fault.name}` {fault.meaning}", _record(fault), _sent(fault), fault.run, _words(fault))
    return f"| {' | '.join(cells)} |\n"


def _record(fault: Fault) -> str:
    if fault.record == "sample":
        return "sample"
    return f"reject `{fault.record}`" if fault.record else "waits"


def _sent(fault: Fault) -> str:
    if fault.tries is None:
        return "while patience lasts"
    return "once" if fault.tries == 1 else f"{fault.tries} times"


def _words(fault: Fault) -> str:
    return fault.words.replace("|", r"\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    assert {AT_ONCE, GOES_ON, IN_A_ROW, WITH_PATIENCE} == {fault.run for fault in FAULTS}
