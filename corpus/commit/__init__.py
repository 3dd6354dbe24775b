"""One task's output: Arrow shards, and the entry that commits them all at once."""
