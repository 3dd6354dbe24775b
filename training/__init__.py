"""Training on a corpus: the only code that imports torch; it reads `corpus` and never sources, generators or flows."""
