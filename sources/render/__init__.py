"""From originals to 8-bit frames, every pixel right."""
