"""What changes a corpus after its tasks committed: snapshots, derived columns, takedowns, garbage."""
