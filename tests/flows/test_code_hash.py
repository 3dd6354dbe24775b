"""The code hash covers what a module imports, and nothing that does not decide rows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import code_hash


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in {
        "generators/one.py": "from generators.two import two\nfrom teachers.wire.client import ask\n",
        "generators/two.py": "import sources.three\n",
        "generators/other.py": "x = 1\n",
        "sources/three.py": "def f():\n    from schemas.four import four\n",
        "schemas/four.py": "four = 4\n",
        "teachers/client.py": "ask = 1\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(code_hash, "ROOT", tmp_path)
    _forget()
    yield tmp_path
    _forget()


def _forget() -> None:
    code_hash.code_sha256.cache_clear()
    code_hash._files_of.cache_clear()
    code_hash._imports.cache_clear()


def _hash_after(checkout: Path, name: str) -> bool:
    """Whether editing a file changes the hash of generators.one."""
    before = code_hash.code_sha256(("generators.one",))
    (checkout / name).write_text((checkout / name).read_text() + "# edited\n")
    _forget()
    return code_hash.code_sha256(("generators.one",)) != before


@pytest.mark.parametrize("name", ["generators/one.py", "generators/two.py", "sources/three.py", "schemas/four.py"])
def test_an_edit_of_anything_imported_changes_the_hash(checkout: Path, name: str) -> None:
    assert _hash_after(checkout, name)


@pytest.mark.parametrize("name", ["generators/other.py", "teachers/client.py"])
def test_an_edit_elsewhere_does_not(checkout: Path, name: str) -> None:
    assert not _hash_after(checkout, name)


def test_a_table_beside_a_module_counts(checkout: Path) -> None:
    (checkout / "sources" / "table.csv").write_text("a,b\n")
    assert _hash_after(checkout, "sources/table.csv")
