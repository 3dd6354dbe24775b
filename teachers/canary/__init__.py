"""Whether a teacher is still the model it was."""
