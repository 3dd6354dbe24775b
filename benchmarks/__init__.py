"""Commands that measure: `python -m benchmarks.NAME [--quick]` prints tables and, last, one JSON object."""
