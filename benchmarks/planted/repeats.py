"""Planted repeats: samples that say again what another says, and samples that share a text or a picture rightly."""

from dataclasses import dataclass, replace

from benchmarks.planted import images, texts
from corpus.likeness.items import Item


@dataclass(frozen=True, slots=True)
class Placed:
    """An item, the family it is of, and whether it repeats an earlier one."""

    family: str
    item: Item
    is_repeat: bool


def corpus(num: int, num_pictures: int) -> list[Placed]:
    """About `num` text samples and `num_pictures` pictures with three samples each, with their repeats, numbered."""
    placed = [*_texts(num), *_pictures(num_pictures)]
    return [replace(one, item=replace(one.item, number=n)) for n, one in enumerate(placed)]


def _texts(num: int) -> list[Placed]:
    """Answers of some 200 words; every tenth is repeated: exactly, with a word in forty changed, or one in eight."""
    answers = [_answer(k) for k in range(num)]
    found = [Placed("own text", _text(f"a{k}", answer), False) for k, answer in enumerate(answers)]
    for k in range(0, num, 10):
        again = answers[k]
        found.append(Placed("exact text", _text(f"b{k}", again.upper()), True))
        found.append(Placed("a few words changed", _text(f"c{k}", _changed(again, 100)), True))
        found.append(Placed("many words changed", _text(f"d{k}", _changed(again, 8)), False))
    return found


def _answer(k: int) -> str:
    # what is asked in each is another patient's case: no two share a run of words for long
    asked = [texts.asked(texts.category(7 * k + j), ("vignette", "managed")[j % 2], k) for j in range(6)]
    return "\n".join(one.question for one in asked)


def _changed(text: str, every: int) -> str:
    rng = texts.dice("changed", text, every)
    words = text.split()
    for at in range(every // 2, len(words), every):
        words[at] = rng.choice(("therefore", "indeed", "perhaps", "clearly"))
    return " ".join(words)


def _text(group: str, text: str) -> Item:
    return Item(0, "planted", group, text)


def _pictures(num: int) -> list[Placed]:
    found: list[Placed] = []
    for n, one in enumerate(images.pictures()):
        if n == num:
            break
        plain = images.png(one.picture)
        for question in ("Which modality is this?", "Is anything abnormal here?"):
            found.append(Placed("question and picture", _pictured(one, question, plain), False))
        found += [
            Placed("exact picture", _pictured(one, "Which modality is this?", plain), True),
            Placed("JPEG again", _pictured(one, "Which modality is this?", images.COPIES["JPEG 40-90"](one)), True),
            Placed("resized", _pictured(one, "Is anything abnormal here?", images.COPIES["resized"](one)), True),
            Placed("mirrored", _pictured(one, "Which modality is this?", images.COPIES["mirrored"](one)), False),
        ]
    return found


def _pictured(one: images.Shown, text: str, data: bytes) -> Item:
    return Item(0, "planted", "", text, lambda: [data], 1, one.modality)
