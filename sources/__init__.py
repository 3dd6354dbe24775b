"""Public data in: adapters by storage shape, a catalogue of TOML entries, rendering, tags, privacy."""
