"""Reading for training: filter, project, mix, shuffle, resume; it needs pyarrow only (the wheel `calabash-reader`)."""

from corpus.reader.feed import Feed
from corpus.reader.mixture import Mixture
from corpus.reader.state import Fork, fork

__all__ = ["Feed", "Fork", "Mixture", "fork"]
