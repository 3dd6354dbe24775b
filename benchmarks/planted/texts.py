"""Planted texts: questions built from the ICD, copies rewritten by rule, and look-alikes that are no copies."""

import hashlib
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import simple_icd_10_cm as icd

from benchmarks.planted import words

Ask = dict[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it was built: `slots` fill `stems` (the publisher's own first, then another's wording)."""

    origin: str
    kind: str
    slots: Ask
    stem: str
    again: str
    options: tuple[str, ...]
    answer: str

    @property
    def question(self) -> str:
        """The stem, filled."""
        return self.stem.format(**self.slots)


@dataclass(frozen=True, slots=True)
class Planted:
    """A sample's text; `origin` is the benchmark item that it is, or looks like; `is_copy` says which."""

    family: str
    origin: str
    text: str
    is_copy: bool


def laid_out(question: str, options: tuple[str, ...], answer: str, mark: str = "{}. ") -> str:
    """A question, its lettered options and the answer, as a sample has them."""
    lines = [mark.format("ABCDEFGH"[k]) + option for k, option in enumerate(options)]
    return "\n".join([question, *lines, f"Answer: {answer}" if answer else ""])


def dice(*name: object) -> random.Random:
    """Dice that fall the same for one name on every machine."""
    return random.Random(hashlib.sha256("\x00".join(map(str, name)).encode()).hexdigest())


def half_of(origin: str) -> str:
    """The half an origin is in, by its hash: thresholds are set on `calibration`, `held-out` is frozen."""
    return ("calibration", "held-out")[hashlib.sha256(f"planted 1 {origin}".encode()).digest()[0] & 1]


@cache
def _categories() -> list[str]:
    """Diseases with four kinds or more: chapters of injuries, causes and circumstances are left out."""
    return sorted(
        code
        for code in icd.get_all_codes(True)
        if code < "P" and icd.is_category(code) and len(icd.get_children(code)) >= 4
    )


@cache
def _free() -> list[str]:
    """Every other category: look-alikes are made of these, questions of the rest, so that none is a copy by chance."""
    taken = {icd.get_description(code) for code in _categories()[::2]}
    return [code for code in _categories()[1::2] if icd.get_description(code) not in taken]


@cache
def _signs() -> list[str]:
    """Symptoms: leaves of chapter R up to R69, without what only coders say."""
    names = {
        icd.get_description(code).split(",")[0].lower()
        for code in icd.get_all_codes(True)
        if "R00" <= code < "R70" and icd.is_leaf(code)
    }
    return sorted(
        name
        for name in names
        if "other" not in name and "unspecified" not in name and "scale" not in name and "score" not in name
    )


def _person(rng: random.Random) -> Ask:
    return {"age": str(rng.randint(2, 94)), "sex": rng.choice(("man", "woman")), "days": str(rng.randint(2, 21))}


def _signs_of(rng: random.Random) -> Ask:
    a, b, c = rng.sample(_signs(), 3)
    old = icd.get_description(rng.choice(_categories())).lower()
    return {"a": a, "b": b, "c": c, "A": a.capitalize(), "old": old}


def asked(code: str, kind: str, turn: int = 0) -> Asked:
    """The question of a kind about a category; another `turn` is another patient."""
    rng = dice(code, kind, turn)
    title = icd.get_description(code)
    codes = _categories()
    near = codes.index(code)
    others = [icd.get_description(codes[(near + k) % len(codes)]) for k in (-2, -1, 1, 2, 3)]
    slots = _person(rng) | _signs_of(rng) | {"title": title[0].lower() + title[1:], "Title": title, "answer": title}
    if kind == "vignette":
        options, answer, stems, again = others[:3], title, words.VIGNETTE, words.VIGNETTE_AGAIN
    elif kind == "managed":
        steps = rng.sample(words.STEPS, 4)
        options, answer, stems, again = steps[1:], steps[0], words.MANAGED, words.MANAGED_AGAIN
    else:
        mine, far = icd.get_children(code), icd.get_children(rng.choice(codes))
        right = icd.get_description(rng.choice(mine))
        options = [icd.get_description(child) for child in rng.sample(far, 3)]
        answer, stems, again = right, words.INCLUDED, words.INCLUDED_AGAIN
        if kind == "excluded":
            options, answer = [icd.get_description(child) for child in rng.sample(mine, 3)], options[0]
            stems = again = words.EXCLUDED
    shuffled = [*options, answer]
    rng.shuffle(shuffled)
    pick = rng.randrange(len(stems))
    return Asked(f"{code}-{kind}", kind, slots, stems[pick], again[pick % len(again)], tuple(shuffled), answer)


def asked_in_han(number: int, turn: int = 0) -> Asked:
    """A vignette in Chinese."""
    rng = dice("han", number, turn)
    a, b, c = rng.sample(words.HAN_SIGNS, 3)
    answer, *others = rng.sample(words.HAN_DISEASES, 5)
    slots = _person(rng) | {"a": a, "b": b, "c": c, "old": others[0], "answer": answer}
    slots["sex"] = rng.choice("男女")
    options = [answer, *others[1:]]
    rng.shuffle(options)
    return Asked(f"han{number}", "han", slots, words.HAN[0], words.HAN_AGAIN[0], tuple(options), answer)


def swapped(text: str, rules: dict[str, str]) -> str:
    """Every rule's words replaced by its others, longest first, none of them twice."""
    pattern = "|".join(map(re.escape, sorted(rules, key=len, reverse=True)))
    edge = "" if any(ord(c) > 0x3000 for c in text) else r"(?![a-z])"
    return re.sub(f"({pattern}){edge}", lambda m: rules[m[0].lower()], text, flags=re.IGNORECASE)


def shuffled(one: Asked) -> Asked:
    """The options in another order."""
    rng = dice("shuffle", one.origin)
    options = list(one.options)
    while tuple(options) == one.options:
        rng.shuffle(options)
    return replace(one, options=tuple(options))


def _typed(one: Asked) -> str:
    """Typed again by hand: lower case, no marks, a letter lost in one word of twelve."""
    rng = dice("typed", one.origin)
    found = re.sub(r"[^\w\s]", " ", laid_out(one.question, one.options, one.answer).lower()).split()
    return " ".join(word[:2] + word[3:] if len(word) > 4 and rng.random() < 1 / 12 else word for word in found)


def _within(one: Asked) -> str:
    """In the midst of a conversation about other things."""
    rng = dice("within", one.origin)
    around = [asked(rng.choice(_free()), rng.choice(("included", "managed")), 7) for _ in range(4)]
    parts = [laid_out(other.question, other.options, other.answer) for other in around]
    return "\n\n".join([*parts[:2], laid_out(one.question, one.options, one.answer), *parts[2:]])


def _rules(one: Asked) -> dict[str, str]:
    return words.HAN_SYNONYMS if one.kind == "han" else words.SYNONYMS


def _heavy(one: Asked) -> str:
    mixed = shuffled(replace(one, stem=one.again))
    return swapped(laid_out(mixed.question, mixed.options, mixed.answer, "({}) "), _rules(one))


COPIES: Final[dict[str, Callable[[Asked], str]]] = {
    "exact": lambda one: laid_out(one.question, one.options, one.answer),
    "question only": lambda one: one.question + f"\n{one.answer}",
    "options shuffled": lambda one: laid_out(one.question, shuffled(one).options, one.answer, "({}) "),
    "typed again": _typed,
    "within a talk": _within,
    "synonyms": lambda one: swapped(laid_out(one.question, one.options, one.answer), _rules(one)),
    "abbreviated": lambda one: swapped(laid_out(one.question, one.options, one.answer), words.SHORTER),
    "clauses moved": lambda one: laid_out(one.again.format(**one.slots), one.options, one.answer),
    "all of it": _heavy,
    "as a statement": lambda one: words.STATEMENT.format(**one.slots),
}
"""Copies by rule. The last two are the hard ones; a rule is left out where it changes nothing."""


def copies(one: Asked) -> list[Planted]:
    """Every copy of a question that its kind allows."""
    exact, found = COPIES["exact"](one), list[Planted]()
    for family, rule in COPIES.items():
        if family == "as a statement" and one.kind != "vignette":
            continue
        text = rule(one)
        if family == "exact" or text != exact:
            found.append(Planted(family, one.origin, text, True))
    return found


def look_alikes(one: Asked) -> list[Planted]:
    """Texts that share a template, a disease, the options or the case's frame, and ask another thing."""
    rng = dice("alike", one.origin)
    if one.kind == "han":
        number = int(one.origin[3:])
        other = asked_in_han(number, 1)
        return [
            Planted("same template", one.origin, laid_out(other.question, other.options, other.answer), False),
            Planted("same options", one.origin, laid_out(other.question, one.options, one.answer), False),
        ]
    code = one.origin.partition("-")[0]
    kinds = [kind for kind in KINDS if kind != one.kind]
    same_disease = asked(code, rng.choice(kinds), 3)
    patient = asked(code, one.kind, 5) if one.kind in ("vignette", "managed") else None
    far = asked(rng.choice(_free()), one.kind, 6)
    found = [
        Planted("same template", one.origin, laid_out(far.question, far.options, far.answer), False),
        Planted(
            "same disease",
            one.origin,
            laid_out(same_disease.question, same_disease.options, same_disease.answer),
            False,
        ),
        Planted(
            "same options",
            one.origin,
            laid_out(f"Regarding {far.slots['a']} in a child, choose one.", one.options, one.answer),
            False,
        ),
        Planted("a talk", one.origin, _within(far), False),
    ]
    if one.kind == "vignette":
        near = replace(far, slots=far.slots | {key: one.slots[key] for key in ("a", "A", "b")})
        found.append(Planted("shared findings", one.origin, laid_out(near.question, near.options, near.answer), False))
    if patient:
        found.append(Planted("other patient", one.origin, laid_out(patient.question, one.options, one.answer), False))
    return found


def category(number: int) -> str:
    """A disease's code by number, round and round."""
    return _categories()[number % len(_categories())]


KINDS: Final = ("vignette", "managed", "included", "excluded")


def questions(num: int, in_han: int) -> list[Asked]:
    """So many questions, each about another category, kinds in turn; and so many in Chinese."""
    codes = _categories()[::2]
    step = len(codes) / num
    latin = [asked(codes[int(k * step)], KINDS[k % 4]) for k in range(num)]
    return latin + [asked_in_han(k) for k in range(in_han)]
