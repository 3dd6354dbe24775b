"""The corpus that several modules of end-to-end tests look at."""

from collections.abc import Iterator

import pytest

from tests.support.sites import Site, site


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose five flows have run once, without Prefect and in peace."""
    with site(tmp_path_factory.mktemp("undisturbed")) as made:
        made.run("--all", "--no-server")
        yield made
