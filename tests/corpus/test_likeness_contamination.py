"""What counts as a benchmark's own, by key, by wording and by picture, and what only looks like it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from corpus.likeness.contamination import EXAMPLES, contamination
from corpus.likeness.items import BenchmarkItem, Item
from corpus.likeness.pictures import hash_of, look
from corpus.likeness.registering import overlaid, register
from corpus.likeness.thresholds import ImageBounds, Thresholds
from corpus.likeness.tokens import terms, tokens
from schemas.errors import ConfigError, CorpusError
from tests.support.photographs import frame_of, photograph

CASES = [
    ("45", "man", "crushing chest pain", "left arm weakness", "aortic stenosis", "Myocardial infarction"),
    ("72", "woman", "progressive memory loss", "urinary urgency", "hypothyroidism", "Normal pressure hydrocephalus"),
    ("9", "boy", "honey-colored crusts", "perioral itching", "atopic eczema", "Impetigo"),
    ("33", "woman", "episodic palpitations", "paroxysmal headache", "medullary carcinoma", "Pheochromocytoma"),
    ("60", "man", "painless jaundice", "migratory thrombophlebitis", "chronic pancreatitis", "Pancreatic cancer"),
    ("27", "woman", "butterfly rash", "symmetric arthralgia", "recurrent miscarriage", "Systemic lupus"),
]
STEM = (
    "A {}-year-old {} presents with {} and {} on a background of {}. "
    "Which of the following is the most likely diagnosis?"
)
OPTIONS = tuple(case[-1] for case in CASES)
TEXTS = [
    BenchmarkItem("med-qa", f"q{k}", STEM.format(*case[:-1]), OPTIONS, case[-1], keys=frozenset({f"article:{k}"}))
    for k, case in enumerate(CASES)
]


def _sample(text: str, number: int = 5, **more: object) -> Item:
    return Item(number, "src", "g", text, **more)  # pyright: ignore[reportArgumentType]


def _shown(text: str, data: Sequence[bytes], **more: object) -> Item:
    return _sample(text, pictures=lambda: data, num_pictures=len(data), **more)


def _asked_of(data: Sequence[bytes], **more: object) -> BenchmarkItem:
    one = BenchmarkItem("vqa", "v1", "Is there a pneumothorax?", ("Yes", "No"), "No", num_pictures=len(data))
    return replace(one, pictures=lambda: data, **more)  # pyright: ignore[reportArgumentType]


def _reasons(items: Sequence[Item], benchmarks: Sequence[BenchmarkItem]) -> list[tuple[str, str]]:
    drops, _ = contamination(items, benchmarks)
    return [(drop.reason, drop.other) for drop in drops]


def test_the_question_itself_is_found_without_its_options_and_within_a_talk() -> None:
    question = TEXTS[2].question
    talk = "Tell me about fever. Fever is a raised temperature. " * 12
    for text in (question, f"{talk}\n{question.upper()}\nImpetigo\n{talk}"):
        assert _reasons([_sample(text)], TEXTS) == [("benchmark-text", "med-qa/q2")]


@pytest.mark.parametrize(
    "text",
    [
        "Honey-colored crusts with perioral itching bring a boy of 9, known for atopic eczema, to the clinic. Name the "
        "disease.\n(a) Systemic lupus (b) Impetigo (c) Pheochromocytoma (d) Myocardial infarction "
        "(e) Normal pressure hydrocephalus (f) Pancreatic cancer",
        "A 9yo boy comes in with honey-colored crusts and perioral itching, PMH atopic eczema. Most probable dx?\n"
        + "\n".join(OPTIONS),
    ],
)
def test_a_question_told_in_other_words_is_found(text: str) -> None:
    assert _reasons([_sample(text)], TEXTS) == [("benchmark-text", "med-qa/q2")]


@pytest.mark.parametrize(
    "text",
    [
        STEM.format("51", "man", "night sweats", "bloody sputum", "silicosis") + "\nTuberculosis",
        "Which organism causes impetigo in a boy of 9 years with atopic eczema?\nStaphylococcus aureus",
        "Which of these is inherited?\n" + "\n".join(OPTIONS),
        "Impetigo is treated with mupirocin. " * 30,
        "",
    ],
)
def test_a_shared_template_disease_or_set_of_options_is_no_leak(text: str) -> None:
    assert _reasons([_sample(text)], TEXTS) == []


def test_a_template_of_short_slots_is_no_leak_though_its_letters_agree() -> None:
    organs = ("ovary", "kidney", "tongue", "larynx", "thymus", "retina", "spleen", "cornea")
    frame = "Which of the following findings most strongly suggests a malignant tumor of the {}?"
    benchmarks = [BenchmarkItem("b", organ, frame.format(organ)) for organ in organs]
    assert _reasons([_sample(frame.format("oropharynx"))], benchmarks) == []
    assert _reasons([_sample(frame.format("larynx"))], benchmarks) == [("benchmark-text", "b/larynx")]


def test_texts_without_spaces_are_compared() -> None:
    stems = [
        "患者男，{}岁，因{}、{}入院，既往有{}病史。最可能的诊断是什么？".format(*case)
        for case in [
            ("47", "眼睑下垂", "咀嚼无力", "胸腺瘤"),
            ("63", "静止性震颤", "步态慌张", "脑外伤"),
            ("30", "面部红斑", "关节疼痛", "流产"),
        ]
    ]
    benchmarks = [BenchmarkItem("cmb", str(k), stem, language="zh") for k, stem in enumerate(stems)]
    assert _reasons([_sample("请回答：" + stems[1] + "帕金森病")], benchmarks) == [("benchmark-text", "cmb/1")]
    other = "患者男，55岁，因咯血、胸痛入院，既往有结核病史。最可能的诊断是什么？"
    assert _reasons([_sample(other)], benchmarks) == []
    assert terms(tokens("胸腺瘤 treatments")) == ["胸腺", "腺瘤", "瘤", "treatm"]


def test_a_key_convicts_before_anything_is_read_and_a_data_set_does_not() -> None:
    def never() -> Sequence[bytes]:
        raise AssertionError("opened")

    benchmark = [replace(_asked_of([]), keys=frozenset({"patient:p7", "dataset:vqa"}))]
    held = _sample("anything", pictures=never, num_pictures=1, keys=frozenset({"patient:p7"}))
    assert _reasons([held], benchmark) == [("benchmark-key", "vqa/v1")]
    assert _reasons([_sample("anything", keys=frozenset({"dataset:vqa"}))], benchmark) == []


def test_a_template_about_another_picture_stays_and_one_question_of_the_same_data_set_does_not() -> None:
    mine, other = (frame_of(photograph(320, 256, seed)).data for seed in (1, 2))
    question = "Does the upright film of this ventilated patient show a left apical pneumothorax?"
    benchmark = [replace(_asked_of([mine]), question=question, keys=frozenset({"dataset:vqa"}))]
    assert _reasons([_shown(question, [other])], benchmark) == []
    assert _reasons([_shown(question, [other], keys=frozenset({"dataset:vqa"}))], benchmark) == [
        ("benchmark-text", "vqa/v1")
    ]


def test_a_changed_copy_of_a_picture_is_found_and_another_picture_is_not() -> None:
    picture = photograph(400, 320, 1)
    benchmark = [
        _asked_of([frame_of(photograph(300, 300, 8)).data]),
        replace(_asked_of([frame_of(picture).data]), id="v2"),
    ]
    copies = [
        picture,
        picture.resize((150, 120)),
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        picture.transpose(Image.Transpose.ROTATE_90),
        picture.crop((16, 10, 390, 300)),
        picture.point(lambda value: int(min(255, value * 0.8 + 30))),
    ]
    items = [_shown("What is it?", [frame_of(copy, quality=60).data]) for copy in copies]
    assert _reasons(items, benchmark) == [("benchmark-image", "vqa/v2")] * len(copies)
    assert (
        _reasons([_shown("What is it?", [frame_of(photograph(400, 320, k)).data]) for k in range(20, 24)], benchmark)
        == []
    )


def test_one_frame_of_a_benchmark_volume_is_enough() -> None:
    frames = [frame_of(photograph(200, 200, k)).data for k in range(20)]
    items = [_shown("text", [frame_of(photograph(200, 200, 99)).data, frames[19]]), _shown("text", frames[3:4])]
    # 8 of 20 frames are compared, the first and the last among them
    assert _reasons(items, [_asked_of(frames)]) == [("benchmark-image", "vqa/v1")]


def test_the_strictest_modality_of_the_two_sides_counts() -> None:
    bounds = Thresholds(images={"CT": ImageBounds(1, 0.999)}, usual=ImageBounds(32, 0.8))
    assert bounds.of("CT", None) == bounds.of("Fundus", "CT") == ImageBounds(1, 0.999)
    assert bounds.of(None, None) == bounds.of("Fundus") == ImageBounds(32, 0.8)
    data = frame_of(photograph(200, 200, 3), "PNG").data
    close = frame_of(photograph(200, 200, 3).crop((8, 6, 196, 194)), quality=40).data
    benchmark = [_asked_of([data], modality="CT")]
    assert contamination([_shown("x", [close])], benchmark, bounds)[0] == []
    assert len(contamination([_shown("x", [close])], [_asked_of([data])], bounds)[0]) == 1


def test_a_report_counts_candidates_and_removals_and_shows_examples() -> None:
    items = [_sample(TEXTS[k % 6].question, number=k) for k in range(30)] + [_sample("nothing alike", number=31)]
    items += [_sample("x", number=40, keys=frozenset({"article:3"}))]
    drops, (report, other) = contamination(items, [*TEXTS, BenchmarkItem("empty", "e1", "How many bones has a hand?")])
    assert [drop.number for drop in drops] == [*range(30), 40]
    assert (report.benchmark, report.num_items, report.removed) == (
        "med-qa",
        6,
        {"benchmark-key": 1, "benchmark-text": 30},
    )
    assert report.num_candidates >= 31
    assert len(report.examples) == EXAMPLES
    assert report.examples[0].id == "q0"
    assert max(len(example.item_text) for example in report.examples) <= 160
    assert report.thresholds["coverage"] == Thresholds().coverage
    assert report.thresholds["detail, CT"] == Thresholds().images["CT"].detail
    assert (other.removed, other.examples) == ({}, ())


def test_a_decision_rests_on_the_item_and_the_benchmarks_alone() -> None:
    items = [_sample(TEXTS[k].question.replace("most likely", "most probable"), number=k) for k in range(6)]
    items += [_sample(f"text {k}", number=k) for k in range(6, 12)]
    together, _ = contamination(items, TEXTS)
    alone = [drop for item in reversed(items) for drop in contamination([item], TEXTS)[0]]
    assert together == alone[::-1]


def test_benchmarks_that_cannot_be_told_apart_or_hold_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="med-qa: two benchmark items are called 'q0'"):
        contamination([], [TEXTS[0], TEXTS[0]])
    with pytest.raises(ConfigError, match="b/1: a benchmark item without question, pictures or keys"):
        contamination([], [BenchmarkItem("b", "1", "  ")])
    with pytest.raises(CorpusError, match="vqa/v1, picture 0: a picture of 3 bytes cannot be decoded"):
        contamination([], [_asked_of([b"abc"])])


def test_no_benchmarks_drop_nothing() -> None:
    assert contamination([_sample("a"), _shown("b", [frame_of(photograph(99, 99)).data])], []) == ([], [])


def test_registering_finds_a_crop() -> None:
    picture = photograph(512, 512, 4)
    whole, part = (look(frame_of(p, "PNG").data, "").whole for p in (picture, picture.crop((25, 15, 490, 480))))
    scale_x, shift_x, scale_y, shift_y = register(part, whole)
    assert np.allclose([scale_x, scale_y], 465 / 512, atol=0.02)
    assert np.allclose([shift_x, shift_y], [(25 + 490 - 512) / 512, (15 + 480 - 512) / 512], atol=0.02)
    detail, bits = overlaid(part, whole)
    assert detail > 0.9
    assert bits < 24
    assert hash_of(whole).shape == (16,)
