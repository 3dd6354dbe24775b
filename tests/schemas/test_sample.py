"""Splits and content hashes are pure functions of what they name."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from schemas.sample import content_sha256, split_of


@given(st.text(max_size=20))
def test_a_group_is_always_in_the_same_split(group: str) -> None:
    assert split_of(group) == split_of(group)


def test_the_split_is_about_98_1_1() -> None:
    counts = Counter(split_of(f"source:{number}") for number in range(20_000))
    assert 0.975 < counts["train"] / 20_000 < 0.985
    assert counts["validation"] > 120
    assert counts["test"] > 120


def test_the_namespace_qualifies_the_group() -> None:
    splits = {(split_of(f"a:{n}"), split_of(f"b:{n}")) for n in range(2_000)}
    assert len(splits) > 3


def test_the_content_hash_sees_text_and_images() -> None:
    said = ({"role": "user", "content": [{"type": "text", "text": "a"}]},)
    other = ({"role": "user", "content": [{"type": "text", "text": "b"}]},)
    hashes = {content_sha256(said, ("0",)), content_sha256(other, ("0",)), content_sha256(said, ("1",))}
    assert len(hashes) == 3
