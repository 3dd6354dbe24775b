"""Anatomical terms in text: the quick search finds what the whole pattern finds."""

import random

import pytest

from sources.tagging import anatomy

CHANGES = (str, str.upper, str.title, lambda term: term + "s", lambda term: term + "-x", lambda term: term[:-1] or term)


@pytest.mark.parametrize("language", anatomy.COLUMNS)
def test_terms_are_found_exactly_where_the_pattern_of_all_terms_finds_them(language: str) -> None:
    draws = random.Random(7)
    terms = sorted(anatomy._words(language))
    pattern = anatomy._pattern(language)
    assert pattern is not None
    num_found = 0
    for _ in range(300):
        words = [draws.choice(CHANGES)(draws.choice(terms)) for _ in range(draws.randint(1, 10))]
        text = draws.choice((" ", ", ", "-", "/", "\n", "")).join(words)
        masked = (
            anatomy.MASKED[language].sub(lambda match: " " * len(match.group()), text) if language == "en" else text
        )
        expected = [(match.start(), match.group()) for match in pattern.finditer(masked)]
        assert [(hit.start, hit.word) for hit in anatomy.find(text, language)] == expected
        num_found += len(expected)
    assert num_found > 500


def test_letters_that_only_look_alike_are_no_crash() -> None:
    assert [hit.word for hit in anatomy.find("the ur\u0131nary bladder and the chest", "en")][-1] == "chest"
