"""Looking for rows that repeat others: what is found is written down and reported."""

from dataclasses import asdict
from typing import Final

from corpus.likeness.duplicates import duplicates
from corpus.likeness.items import Bounds
from corpus.manifest.snapshot import read_snapshot
from corpus.store.writing import Store
from flows.likeness import RowItems, row_ids, without_own, write_drops
from flows.likeness_report import Document, of_duplicates

NAME: Final = "duplicates"
"""The derived drop of rows that repeat others."""


def drop_duplicates(store: Store, bounds: Bounds, write: bool) -> tuple[Document, str]:
    """Drop the newest snapshot's rows that repeat others; the report and the next snapshot's name.

    Rows that an older search dropped are looked at again; those that are dropped for another reason stay
    out, so that no row goes for the sake of one that is not there. Raises CorpusError.
    """
    looked_at, made_by = without_own(read_snapshot(store), NAME), {"bounds": asdict(bounds)}
    items = RowItems(looked_at)
    drops = duplicates(items, bounds)
    numbers = [int(text) for drop in drops for text in (str(drop.number), drop.other) if text.isdecimal()]
    document = of_duplicates(looked_at.name, len(items), made_by, drops, row_ids(looked_at, numbers))
    taken = write_drops(store, looked_at, NAME, made_by, drops) if write else looked_at
    return document, taken.name
