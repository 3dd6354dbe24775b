"""What is dropped as a repeat, and what repeats rightly and stays."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpus.likeness.duplicates import duplicates
from corpus.likeness.items import Bounds, Drop, Item
from corpus.likeness.minhash import bands_of
from corpus.likeness.tokens import jaccard, shingles
from schemas.errors import CorpusError
from tests.support.photographs import frame_of, photograph

ROOT = Path(__file__).resolve().parent.parent.parent
WORDS = [f"word{k}" for k in range(120)]
LONG = " ".join(WORDS)
NEAR = " ".join([*WORDS[:-1], "other"])


def _item(number: int, text: str = LONG, **more: object) -> Item:
    return Item(number, "src", f"g{number}", text, **more)  # pyright: ignore[reportArgumentType]


def _shown(number: int, text: str, *data: bytes) -> Item:
    return _item(number, text, pictures=lambda: data, num_pictures=len(data))


def _said(drops: Sequence[Drop]) -> list[tuple[int, str, str]]:
    return [(drop.number, drop.reason, drop.other) for drop in drops]


def test_the_same_words_in_other_case_and_marks_are_an_exact_duplicate() -> None:
    drops = duplicates([_item(7, "A cough, since May."), _item(9, "a COUGH since may"), _item(3, "A cough since June")])
    assert _said(drops) == [(9, "duplicate-exact", "7")]


def test_one_word_changed_in_a_long_text_is_a_near_duplicate_and_in_a_short_one_is_not() -> None:
    assert _said(duplicates([_item(0), _item(1, NEAR)])) == [(1, "duplicate-text", "0")]
    assert duplicates([_item(0, "the left lung is clear"), _item(1, "the right lung is clear")]) == []


def test_a_chain_of_changes_is_compared_with_what_stays() -> None:
    changed = [" ".join([*WORDS[: 120 - 9 * k], *(f"new{k}" for k in range(9 * k))]) for k in range(3)]
    assert jaccard(shingles(changed[0], 5), shingles(changed[2], 5)) < 0.8
    assert _said(duplicates([_item(k, text) for k, text in enumerate(changed)])) == [(1, "duplicate-text", "0")]


def test_texts_without_spaces_are_compared_by_their_characters() -> None:
    text = (
        "患者因反复咳嗽咳痰伴低热盗汗三周入院既往体健查体双肺呼吸音粗未闻及湿性啰音辅助检查胸部影像示右上肺斑片状阴影"
    )
    drops = duplicates([_item(0, text), _item(1, text + "。"), _item(2, text + "考虑"), _item(3, text[::-1])])
    assert _said(drops) == [(1, "duplicate-exact", "0"), (2, "duplicate-text", "0")]


@pytest.mark.parametrize(("grade", "split", "stays"), [("demo", "train", 1), ("production", "train", 0)])
def test_production_stays_before_demo_and_then_the_first(grade: str, split: str, stays: int) -> None:
    first = replace(_item(0), grade=grade, split=split)  # pyright: ignore[reportArgumentType]
    assert _said(duplicates([first, _item(1)])) == [(1 - stays, "duplicate-exact", str(stays))]


def test_of_a_text_in_two_splits_the_test_row_stays() -> None:
    assert _said(duplicates([_item(0), replace(_item(1), split="test")])) == [(0, "duplicate-exact", "1")]


def test_questions_about_one_picture_and_one_question_about_pictures_stay() -> None:
    one, other = (frame_of(photograph(200, 160, seed)).data for seed in (1, 2))
    asked = [("Is there a fracture?", one), ("Is there a fracture?", other), ("Which side is it?", one)]
    assert duplicates([_shown(k, text, data) for k, (text, data) in enumerate(asked)]) == []
    assert duplicates([_item(0, "Is there a fracture?"), _shown(1, "Is there a fracture?", one)]) == []


def test_a_picture_encoded_again_or_resized_is_found_and_a_mirrored_one_is_another() -> None:
    picture = photograph(320, 256, 5)
    copies = [
        frame_of(picture, "PNG").data,
        frame_of(picture, "PNG").data,
        frame_of(picture, quality=50).data,
        frame_of(picture.resize((200, 160))).data,
        frame_of(picture.transpose(0)).data,
    ]
    drops = duplicates([_shown(k, "What is shown here?", data) for k, data in enumerate(copies)])
    assert _said(drops) == [(1, "duplicate-exact", "0"), (2, "duplicate-image", "0"), (3, "duplicate-image", "0")]


def test_pictures_are_opened_only_where_the_text_repeats() -> None:
    def never() -> Sequence[bytes]:
        raise AssertionError("opened")

    items = [_item(k, f"question number {k} about it", pictures=never, num_pictures=1) for k in range(20)]
    assert duplicates(items) == []


def test_a_broken_picture_is_named() -> None:
    with pytest.raises(CorpusError, match=r"item 1 of src, picture 0: a picture of 6 bytes cannot be decoded"):
        duplicates([_shown(0, "Which?", frame_of(photograph(99, 99)).data), _shown(1, "Which?", b"\x89PNG\r\n")])


def test_an_original_in_two_splits_stays_in_the_strictest() -> None:
    def placed(number: int, split: str, *keys: str, grade: str = "production") -> Item:
        item = Item(number, "src", "", f"text {number}", keys=frozenset(keys))
        return replace(item, split=split, grade=grade)  # pyright: ignore[reportArgumentType]

    items = [
        placed(0, "train", "patient:1"),
        placed(1, "validation", "patient:1"),
        placed(2, "test", "patient:2", "article:3"),
        placed(3, "validation", "article:3"),
        placed(4, "train", "dataset:x"),
        placed(5, "test", "dataset:x"),
        placed(6, "test", "patient:7", grade="demo"),
        placed(7, "train", "patient:7"),
        placed(8, "train", "patient:1", grade="demo"),
    ]
    assert [(d.number, d.reason) for d in duplicates(items)] == [(n, "crosses-splits") for n in (0, 3, 6, 8)]


def test_a_flow_has_so_many_items_of_a_group_and_duplicates_do_not_count() -> None:
    texts = ["same", "same", "a", "b", "c"]
    items = [Item(k, "src", "patient", text, flow="captioning") for k, text in enumerate(texts)]
    items += [Item(9, "src", "patient", "d", flow="synthetic-qa"), Item(10, "src", "patient", "e", flow="synthetic-qa")]
    drops = duplicates(items, Bounds(per_group=3, caps={"synthetic-qa": 1}))
    assert _said(drops) == [(1, "duplicate-exact", "0"), (4, "group-cap", ""), (10, "group-cap", "")]
    assert _said(duplicates(items, Bounds(per_group=None))) == [(1, "duplicate-exact", "0")]


_items = st.lists(
    st.tuples(
        st.lists(st.sampled_from(WORDS[:6]), max_size=12).map(" ".join),
        st.sampled_from(("train", "validation", "test")),
        st.sampled_from(("production", "demo")),
        st.sampled_from(("p1", "p2", "p3", "p4")),
    ),
    max_size=24,
)


@settings(max_examples=60, deadline=None)
@given(_items)
def test_what_stays_repeats_nothing_and_what_goes_repeats_what_stays(rows: list[tuple[str, str, str, str]]) -> None:
    items = [
        Item(n, "src", group, text, split=split, grade=grade)  # pyright: ignore[reportArgumentType]
        for n, (text, split, grade, group) in enumerate(rows)
    ]
    drops = duplicates(items, Bounds(per_group=2))
    gone = {drop.number: drop for drop in drops}
    stays = [item for item in items if item.number not in gone]
    assert [drop.number for drop in drops] == sorted(gone)
    assert len({item.text for item in stays}) == len(stays)
    production = [item for item in items if item.grade == "production"]
    assert len({(i.group, i.split) for i in stays}) == len({i.group for i in stays})
    assert all(sum(i.group == group for i in stays) <= 2 for group in ("p1", "p2", "p3", "p4"))
    for drop in drops:
        item = items[drop.number]
        if drop.other:
            other = items[int(drop.other)]
            assert gone.get(other.number, drop).reason in ("group-cap", drop.reason) or other.number not in gone
            assert jaccard(shingles(item.text, 5), shingles(other.text, 5)) >= 0.8
            assert (item.grade, other.grade) != ("production", "demo")
    # demo items never cost production one
    alone = duplicates(production, Bounds(per_group=2))
    assert [d.number for d in alone] == [d.number for d in drops if items[d.number].grade == "production"]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 119), st.integers(0, 119), st.randoms(use_true_random=False))
def test_near_texts_share_a_band(first: int, second: int, rng: object) -> None:
    words = list(WORDS)
    words[first], words[second] = "here", "there"
    one, other = shingles(LONG, 5), shingles(" ".join(words), 5)
    bands = bands_of([one, other])
    assert jaccard(one, other) < 0.8 or (bands[0] == bands[1]).any()


def test_the_drops_depend_on_no_hash_seed_and_no_thread() -> None:
    code = (
        "import random\n"
        "from corpus.likeness.duplicates import duplicates\n"
        "from corpus.likeness.items import Item\n"
        "rng = random.Random(3)\n"
        "words = [f'w{k}' for k in range(40)]\n"
        "texts = [' '.join(rng.choices(words, k=60)) for _ in range(40)]\n"
        "many = [rng.choice(texts) + rng.choice(('', ' more', ' again and')) for _ in range(400)]\n"
        "print(duplicates([Item(n, 's', f'g{n % 9}', t, keys=frozenset({f'k{n}', 'dataset:s'})) "
        "for n, t in enumerate(many)]))"
    )
    found: set[str] = set()
    for seed in ("0", "1"):
        env = os.environ | {"PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": str(int(seed) + 1)}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True
        )
        found.add(done.stdout)
    assert len(found) == 1
    assert "duplicate-text" in found.pop()
