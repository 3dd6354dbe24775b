"""Organ system and modality of a record: header, dataset, lexicon, in that order, with the evidence."""
