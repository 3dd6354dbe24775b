"""Calabash itself, as benchmarks.generation runs it: the real path from a source's lines to a snapshot.

    python -m benchmarks.ours --config pipeline.toml [--plain-pictures] [--gates] [--prefect] [--profile]

Nothing is stood in for but two things: the generator is the benchmark's own, and, unless `--gates`,
the schema check is the only check. `--plain-pictures` hands a source's JPEG files on as they are.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, cast

BEGAN = time.perf_counter()

import generators  # noqa: E402
import sources.catalogue  # noqa: E402
from benchmarks.describe import Describe  # noqa: E402
from flows import synthesis  # noqa: E402
from flows.params import FlowParams  # noqa: E402
from flows.running import run_flow  # noqa: E402
from schemas.record import Frame, Media  # noqa: E402
from sources.entry import Columns  # noqa: E402
from sources.files import locate_optional, origin, sha256  # noqa: E402
from sources.shapes import rows  # noqa: E402
from sources.shapes.jsonl import Jsonl  # noqa: E402

FLOW = "synthetic-qa"


class PlainPictures(Jsonl):
    """Lines with pictures that are within the teacher's budget already: nobody decodes them."""

    shape: ClassVar[Any] = "jsonl"

    def _media(self, row: rows.Row, columns: Columns) -> Iterator[Media]:
        for name in rows.texts(row, columns.images, columns):
            data = locate_optional(self._entry, name).read_bytes()
            frame = Frame(data, "image/jpeg", 512, 512)
            yield Media("image", (frame,), sha256(data), origin(self._entry, name))


def prepare(chosen: argparse.Namespace) -> None:
    """Make the benchmark's generator known, and leave out what is not measured."""
    cast(dict[str, Any], generators.GENERATORS)[Describe.name] = Describe
    if chosen.plain_pictures:
        cast(Any, sources.catalogue).SHAPES = (PlainPictures,)
    if not chosen.gates:
        cast(Any, synthesis).gates_of = lambda *_: ()


async def plainly(params: FlowParams) -> None:
    """The flow without Prefect."""
    await run_flow(FLOW, params)


async def on_prefect(params: FlowParams) -> None:
    """The flow as a Prefect flow run of Prefect task runs, with a server of its own."""
    from flows.prefect_env import find_server

    find_server()
    from flows.synthetic_qa import synthetic_qa

    await cast(Any, synthetic_qa)(params)


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--parallel-tasks", type=int, default=2)
    for option in ("--plain-pictures", "--gates", "--prefect", "--profile"):
        parser.add_argument(option, action="store_true")
    chosen = parser.parse_args()
    prepare(chosen)
    params = FlowParams(config=chosen.config, parallel_tasks=chosen.parallel_tasks)
    began = time.perf_counter()
    parts: dict[str, float] = {}
    if chosen.profile:
        from benchmarks.profiling import Profile

        with Profile() as profile:
            asyncio.run((on_prefect if chosen.prefect else plainly)(params))
        parts = profile.seconds()
        profile.print_hottest()
    else:
        asyncio.run((on_prefect if chosen.prefect else plainly)(params))
    done = time.perf_counter()
    entries = [json.loads(path.read_bytes()) for path in Path(chosen.config).parent.glob("corpus/commits/*/*.json")]
    tallies = [tally for entry in entries for tally in entry["tallies"]]
    refused = [tally["rejected"] for tally in tallies]
    found = {
        "rows": sum(tally["num_kept"] for tally in tallies),
        "rejects": {reason: sum(one.get(reason, 0) for one in refused) for one in refused for reason in one},
        "run_s": done - began,
        "import_s": began - BEGAN,
        "ended": max((entry["made"]["ended"] for entry in entries), default=0.0),
        "parts": parts,
    }
    print("RESULT " + json.dumps(found))


if __name__ == "__main__":
    main()
