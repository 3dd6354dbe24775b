"""What is committed, as numbered snapshots: tables in pieces, derived columns, drops, names."""
