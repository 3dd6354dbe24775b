"""The preview as one HTML page: no script, everything escaped, images inline."""

import base64
import html
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from flows.preview import Preview
from flows.showing import spoken
from schemas.record import Frame, Record

STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #1b1b1b; background: #fff }
article { border-top: 2px solid #8a8a8a; padding: 1rem 0 }
img { max-height: 220px; margin: 0 .4rem .4rem 0 }
pre { white-space: pre-wrap; background: #f2f2f0; padding: .6rem; overflow-wrap: anywhere }
.kept { color: #0a5c2b }
.refused { color: #8c1c13 }
@media (prefers-color-scheme: dark) {
  body { color: #e6e6e6; background: #161616 }
  pre { background: #242424 }
  .kept { color: #7fd6a0 }
  .refused { color: #ff9d94 }
}
"""
MAX_FRAMES: Final = 8
"""Frames shown per record: enough to judge, small enough to mail."""


def write_page(path: Path, flow: str, previews: Iterable[Preview]) -> None:
    """Write the page; missing folders are made."""
    body = "\n".join(_article(number, preview) for number, preview in enumerate(previews, 1))
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Preview of {html.escape(flow)}</title><style>{STYLE}</style>"
        f"<h1>Preview of {html.escape(flow)}</h1><p>Nothing here was committed.</p>{body}</html>"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def _article(number: int, preview: Preview) -> str:
    record = preview.record
    if record is None:
        rejects = "".join(_reject(one.reason, one.detail) for one in preview.outcome.rejects)
        return f"<article><h2>{number}. unreadable record</h2>{rejects}</article>"
    tags = preview.tags
    heading = f"{number}. {record.source} / {record.id}"
    where = f"{tags.modality or 'text'}, {tags.organ_system or tags.scope}" if tags else ""
    asked = "".join(
        f"<h3>Asked ({html.escape(request.role)}, attempt {request.attempt})</h3>"
        + "".join(f"<pre><b>{turn.role}</b>\n{html.escape(turn.text)}</pre>" for turn in request.turns)
        + f"<h3>Reply{' (kept)' if reply.replayed else ''}</h3><pre>{html.escape(reply.content)}</pre>"
        for request, reply in preview.asked
    )
    return (
        f"<article><h2>{html.escape(heading)}</h2><p>{html.escape(where)}; "
        f"licence {html.escape(record.terms.license.name)}</p>"
        f"{_frames(record)}{asked}{_verdicts(preview)}</article>"
    )


def _frames(record: Record) -> str:
    return "".join(_img(frame, number) for number, frame in enumerate(record.frames[:MAX_FRAMES]))


def _img(frame: Frame, number: int) -> str:
    data = base64.b64encode(frame.data).decode()
    return f'<img alt="frame {number}" src="data:{frame.mime};base64,{data}">'


def _verdicts(preview: Preview) -> str:
    kept = "".join(
        f'<p class="kept">kept: passed {len(sample.verdicts)} checks</p><pre>'
        + html.escape("\n".join(spoken(message) for message in sample.messages))
        + "</pre>"
        for sample in preview.outcome.samples
    )
    return kept + "".join(_reject(one.reason, one.detail, one.text) for one in preview.outcome.rejects)


def _reject(reason: str, detail: str, text: str = "") -> str:
    shown = f"<pre>{html.escape(text)}</pre>" if text else ""
    return f'<p class="refused">rejected: {html.escape(reason)} ({html.escape(detail)})</p>{shown}'
