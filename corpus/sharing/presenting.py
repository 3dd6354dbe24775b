"""Cards of a corpus and of its exports: the numbers, the files and the words put together."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from corpus.layout import CARD, DATA
from corpus.reader.corpus import Corpus
from corpus.sharing.card import notes, stored_of, usage
from corpus.sharing.configs import MAX_LISTED, CardFile, configurations, yaml_of
from corpus.sharing.croissant import Layout
from corpus.sharing.export import Plan
from corpus.sharing.facts import SourceNote, facts_of
from corpus.sharing.full_card import Shown, full_card
from schemas.arrow import FEATURES

ARROW: Final = "application/vnd.apache.arrow.stream"
MIME: Final = {"parquet": "application/x-parquet", "webdataset": "application/x-tar", "jsonl": "application/jsonlines"}
EXPORT_USAGE: Final = """\
## Open it

```python
from datasets import load_dataset

load_dataset("{path}")  # or one modality or one flow: load_dataset("{path}", "{example}")
```
"""


RL_PAGE: Final = """\
---
license: other
license_name: mixed
tags: [medical, multimodal, reinforcement-learning]
{configs}---

# Verifiable questions of a Calabash corpus, snapshot {name}

{num_rows:,} questions whose answer a program can check, as TRL's trainers take them: `prompt` (messages without the
answer), `images`, `solution` (the gold answer), `answer_type` and `pass_rate` (the share of a teacher's tries that
reached the gold answer). Every row has its source and licence.

{usage}
"""


def corpus_card(
    corpus: Corpus, sources: Sequence[SourceNote], reports: Mapping[str, str] | None = None
) -> dict[str, bytes]:
    """The whole card of a corpus, by path from its folder; its files are the shards."""
    snapshot, stored = corpus.snapshot, stored_of(corpus.snapshot)
    configs = configurations(stored.files)
    shown = Shown(
        name=snapshot.name,
        version=f"{snapshot.number}.0.0",
        digest=f"corpus_sha256 `{snapshot.corpus_sha256}`, snapshot `{snapshot.sha256}`",
        configs=configs,
        layout=Layout(ARROW, [f"{DATA}/*/*/*/*.arrow"], FEATURES),
        usage=usage(stored, configs, snapshot.num_rows) + notes(stored),
        sources=sources,
        reports=reports,
    )
    return full_card(facts_of(corpus), shown)


def export_card(
    plan: Plan,
    manifest: Mapping[str, Any],
    sources: Sequence[SourceNote],
    path: str = "PATH",
    reports: Mapping[str, str] | None = None,
) -> dict[str, bytes]:
    """The card of a finished export, by path from its folder. `path` is what `load_dataset` will be given.

    For profile "rl", whose rows the samples tables cannot tell, it is the README alone.
    """
    corpus, files = plan.rows.corpus, manifest["files"]
    configs = configurations([CardFile(file["path"], file["flow"], file["modality"], file["split"]) for file in files])
    example = next((name for name in configs if name != "default"), "default")
    opening = EXPORT_USAGE.format(path=path, example=example)
    if plan.rows.profile == "rl":
        words = {"name": corpus.snapshot.name, "num_rows": manifest["num_rows"], "usage": opening}
        return {CARD: RL_PAGE.format(configs=yaml_of(configs), **words).encode()}
    listed = [(file["path"], file["sha256"], file["bytes"]) for file in files] if len(files) <= MAX_LISTED else []
    columns = _features(plan)
    shown = Shown(
        name=corpus.snapshot.name,
        version=f"{corpus.snapshot.number}.0.0",
        digest=f"Export `{plan.key}` of snapshot `{corpus.snapshot.sha256}`; licence profile "
        f"`{plan.about['license_profile']}` left {sum(plan.about['dropped_by_license'].values()):,} rows behind.",
        configs=configs,
        layout=Layout(MIME[plan.about["format"]], ["data/*/*/*/*/*"], columns, listed),
        usage=opening,
        sources=sources,
        withheld=manifest["num_withheld"],
        reports=reports,
    )
    return full_card(facts_of(corpus), shown)


def _features(plan: Plan) -> Mapping[str, Any]:
    """The columns of an export as features, read from the schema's own metadata."""
    metadata = plan.rows.schema.metadata or {}
    return json.loads(metadata[b"huggingface"])["info"]["features"]
