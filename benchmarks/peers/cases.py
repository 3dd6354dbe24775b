"""The cases that every system is asked about: the same words for all."""

ORGANS = ("chest", "brain", "liver", "kidney", "heart", "retina", "skin", "knee", "breast", "colon")
MODALITIES = ("CT", "MRI", "X-ray", "ultrasound", "histopathology", "OCT", "dermoscopy", "PET")
ASKED = (
    " State the technique, the findings, the impression and one differential diagnosis. Answer in one paragraph of "
    "about 150 words, in plain English, without invented identifiers."
)


def case(number: int) -> str:
    """What is special to one case."""
    modality, organ = MODALITIES[number % len(MODALITIES)], ORGANS[number % len(ORGANS)]
    return f"Case {number}. Write a structured description of a {modality} study of the {organ}."


def prompt(number: int) -> str:
    """The whole prompt, as a system without prompt files is given it."""
    return case(number) + ASKED
