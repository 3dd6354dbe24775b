"""Other people's readers open a corpus with none of our code, and images decode."""

import hashlib
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from corpus.changing.taking import take_snapshot
from schemas.sample import COLUMNS
from tests.support.corpora import commit, make_corpus, tree
from tests.support.samples import make_sample, make_samples, make_task

COUNTS = {"default": 60, "captioning": 30, "synthetic-qa": 30, "ct": 12, "x-ray": 12, "text": 12}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder)
    commit(folder, make_task(500, 510, flow="captioning"), make_samples(500, 510))
    return folder


@pytest.fixture(scope="module")
def shard(root: Path) -> Path:
    return next(iter(sorted(root.glob("data/captioning/*/modality=ct/train-*.arrow"))))


def run(script: str, root: Path, home: Path) -> dict:
    """Run a script away from this checkout; its last line is JSON."""
    done = subprocess.run(
        [sys.executable, "-c", script, str(root)],
        cwd=home,
        env={"HF_HOME": str(home / "hf"), "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin", "HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


LOAD_DATASET = """
import json, sys
from datasets import get_dataset_config_names, load_dataset
names = get_dataset_config_names(sys.argv[1])
counts, sizes = {}, []
for name in (None, "captioning", "synthetic-qa", "ct", "x-ray", "text"):
    splits = load_dataset(sys.argv[1], name) if name else load_dataset(sys.argv[1])
    counts[name or "default"] = sum(len(rows) for rows in splits.values())
    wrong = [r["id"] for split, rows in splits.items() for r in rows if r["split"] != split]
    assert not wrong, wrong
    if name == "x-ray":
        rows = next(iter(splits.values()))
        assert set(rows["modality"]) == {"X-Ray"}
        sizes = rows[0]["images"][0].size
first = next(iter(load_dataset(sys.argv[1], "ct", streaming=True, split="train")))
print(json.dumps({"names": names, "counts": counts, "size": sizes, "streamed": first["images"][0].size}))
"""


def test_load_dataset_reads_each_configuration_of_the_snapshot_and_nothing_else(root: Path, tmp_path: Path) -> None:
    found = run(LOAD_DATASET, root, tmp_path)
    assert found["counts"] == COUNTS
    assert found["size"] == found["streamed"] == [8, 8]
    modalities = ["ct", "digital-photograph", "mri", "text", "x-ray"]
    assert found["names"] == ["default", "captioning", "synthetic-qa", *modalities]


LOAD_FROM_DISK = """
import json, sys
import pyarrow as pa
from datasets import load_from_disk
before = pa.total_allocated_bytes()
data = load_from_disk(sys.argv[1] + "/.views/all")
taken = pa.total_allocated_bytes() - before
files = [file["filename"] for file in data.cache_files]
image = next(row["images"][0] for row in data if row["images"])
print(json.dumps({"rows": len(data), "size": image.size, "files": files, "taken": taken, "bytes": data.data.nbytes}))
"""


def test_load_from_disk_maps_the_shards_themselves(root: Path, tmp_path: Path) -> None:
    before = tree(root)
    found = run(LOAD_FROM_DISK, root, tmp_path)
    assert (found["rows"], found["size"]) == (60, [8, 8])
    assert all(Path(name).resolve().is_relative_to(root / "data") for name in found["files"])
    assert found["taken"] < found["bytes"] / 20
    assert tree(root) == before
    assert list(tmp_path.rglob("*.arrow")) == []


PYARROW = """
import io, json, sys
import pyarrow as pa
from PIL import Image
table = pa.ipc.open_stream(pa.memory_map(sys.argv[1])).read_all()
image = Image.open(io.BytesIO(table["images"][0][0]["bytes"].as_py()))
print(json.dumps({"rows": table.num_rows, "size": image.size, "modality": table["modality"].unique().to_pylist()}))
"""


def test_pyarrow_opens_a_shard_as_a_stream(shard: Path, tmp_path: Path) -> None:
    found = run(PYARROW, shard, tmp_path)
    assert found["rows"] > 0
    assert (found["size"], found["modality"]) == ([8, 8], ["CT"])


DUCKDB = """
import io, json, sys
import duckdb, pyarrow as pa
from PIL import Image
table = pa.ipc.open_stream(pa.memory_map(sys.argv[1])).read_all()
rows = duckdb.from_arrow(table).filter("language = 'en'")
organs = rows.aggregate("organ_system, count(*) as n").fetchall()
data = duckdb.sql("select images[1].bytes from rows where modality = 'CT' limit 1").fetchall()[0][0]
print(json.dumps({"organs": organs, "size": Image.open(io.BytesIO(data)).size}))
"""


def test_duckdb_queries_an_opened_shard(shard: Path, tmp_path: Path) -> None:
    found = run(DUCKDB, shard, tmp_path)
    assert [organ for organ, _ in found["organs"]] == ["Respiratory"]
    assert found["size"] == [8, 8]


CONFORMANCE = """
import hashlib, io, json, sys
from pathlib import Path
import duckdb, polars, pyarrow as pa
from datasets import load_dataset, load_from_disk
from PIL import Image

root = sys.argv[1]
info = json.loads(Path(root, ".views/all/state.json").read_text())
shards = sorted({str(Path(root, ".views/all", one["filename"]).resolve()) for one in info["_data_files"]})
mapped = [pa.ipc.open_stream(pa.memory_map(shard)).read_all() for shard in shards]

def pixels(image):
    image = Image.open(io.BytesIO(image["bytes"])) if isinstance(image, dict) else image
    return [image.size, hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()]

def digest(rows):
    by_id = {row["id"]: {**row, "images": [pixels(image) for image in row["images"]]} for row in rows}
    text = json.dumps(by_id, sort_keys=True)
    return [len(by_id), len(next(iter(by_id.values()))), hashlib.sha256(text.encode()).hexdigest()]

def of_duckdb(table):
    found = duckdb.from_arrow(table)
    return [dict(zip(found.columns, row)) for row in found.fetchall()]

print(json.dumps({
    "pyarrow": digest(row for table in mapped for row in table.to_pylist()),
    "duckdb": digest(row for table in mapped for row in of_duckdb(table)),
    "polars": digest(row for table in mapped for row in polars.from_arrow(table).to_dicts()),
    "polars of a path": digest(row for shard in shards for row in polars.read_ipc_stream(shard).to_dicts()),
    "map-style": digest(row for rows in load_dataset(root).values() for row in rows),
    "streaming": digest(row for rows in load_dataset(root, streaming=True).values() for row in rows),
    "load_from_disk": digest(load_from_disk(root + "/.views/all")),
}))
"""


@pytest.mark.slow  # test_conformance has a smaller form
def test_every_reader_gives_every_column_and_every_pixel_that_was_written(tmp_path: Path) -> None:
    task = make_task(0, 20)
    samples = [
        replace(
            make_sample(i, num_images=i % 3, text=f"Größe {i} 大小" * (i + 1), modality=None if i % 4 == 0 else "CT"),
            gold="yes" if i % 2 else None,
            pass_rate=i / 7 if i % 3 else None,
            organ_systems_also=("Digestive",) * (i % 3),
        )
        for i in range(20)
    ]
    commit(tmp_path / "corpus", task, samples)
    take_snapshot(tmp_path / "corpus", [task])
    rows = {}
    for sample in samples:
        images = [Image.open(io.BytesIO(one["bytes"])) for one in sample.images]
        shown = [[list(one.size), hashlib.sha256(one.convert("RGB").tobytes()).hexdigest()] for one in images]
        rows[sample.id] = {**sample.row(), "images": shown}
    text = json.dumps(rows, sort_keys=True)
    wanted = [20, len(COLUMNS), hashlib.sha256(text.encode()).hexdigest()]
    found = run(CONFORMANCE, tmp_path / "corpus", tmp_path)
    assert {name: digest for name, digest in found.items() if digest != wanted} == {}


MANIFEST = """
import json, sys
import duckdb
pieces = sys.argv[1] + "/manifest/pieces"
query = f"select modality, count(*) from '{pieces}/samples-*.parquet' group by 1 order by 1 nulls first"
files = duckdb.sql(f"select sum(rows) from '{pieces}/files-*.parquet'").fetchall()[0][0]
print(json.dumps({"cells": duckdb.sql(query).fetchall(), "rows": int(files)}))
"""


def test_the_manifest_tables_are_plain_parquet(root: Path, tmp_path: Path) -> None:
    found = run(MANIFEST, root, tmp_path)
    names = [None, "CT", "Digital Photograph", "MRI", "X-Ray"]
    assert found == {"cells": [[name, 12] for name in names], "rows": 60}


def test_the_page_counts_what_the_snapshot_holds(root: Path) -> None:
    page = (root / "README.md").read_text()
    assert "60 rows in" in page
    assert "| Respiratory | 12 |" in page
    assert "| attribution | 60 |" in page
    assert "demo=True" not in page


def test_the_page_of_a_demo_corpus_says_so(tmp_path: Path) -> None:
    make_corpus(tmp_path, 20, grade="demo")
    page = (tmp_path / "README.md").read_text()
    assert "20 of these rows have `grade = demo`" in page
    assert 'corpus.open("PATH", demo=True)' in page
