"""Where a corpus's bytes are: a folder on this disk, or a prefix of an object store."""
