"""Each gate lets good text pass and refuses what it is for, in several languages, with the reason as a slug."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators import GENERATORS
from generators.gates import Bounds, batch_gates_of, gates_of, judged_gates_of
from generators.gates.answer import answer_holds, leaks
from generators.gates.finish import finished
from generators.gates.language import in_language
from generators.gates.length import length_within
from generators.gates.medical import is_medical
from generators.gates.phi import no_phi
from generators.gates.refusal import no_refusal
from generators.gates.repetition import compression, line_share, not_repetitive, phrase_share
from generators.gates.said import num_words
from generators.gates.structural import well_formed
from schemas.ask import Reply, Request, Turn
from schemas.conversation import Message
from schemas.errors import ConfigError
from schemas.pipeline import validate
from schemas.record import Facts
from tests.generators.by_hand import LIVER, Teacher, record_of, talk

BLIND = ((Request("generate", (Turn("user", "facts"),)), Reply("{}")),)
"""An ask that showed no picture."""

PLAIN = record_of("plain", Facts(metadata={"modality": "MRI"}))
LANGUAGES = in_language(300, 25, 0.5, whole=False)
TEXTS = {
    "en": "The liver shows a single round lesion with clear borders in this picture.",
    "zh": "肝脏可见单个圆形病灶，边界清楚。",
    "es": "El hígado muestra una única lesión redonda con bordes claros en esta imagen.",
    "fr": "Le foie montre une seule lésion ronde aux contours nets sur cette image.",
    "de": "Die Leber zeigt eine einzelne runde Läsion mit klaren Grenzen in diesem Bild.",
    "ru": "В печени видно одно округлое образование с чёткими границами на этом снимке.",
    "ja": "肝臓に境界明瞭な円形の病変が一つ見られます。",
    "ko": "간에서 경계가 뚜렷한 둥근 병변 하나가 보입니다.",
    "pt": "O fígado mostra uma única lesão redonda com bordas claras nesta imagem, não há outras.",
    "ar": "يظهر الكبد آفة واحدة مستديرة ذات حدود واضحة في هذه الصورة.",
    "hi": "यकृत में स्पष्ट सीमाओं वाला एक गोल घाव दिखाई देता है।",
    "vi": "Gan có một tổn thương hình tròn duy nhất với đường viền rõ ràng trong hình ảnh này.",
}


def reason(gate, text, record=PLAIN, **fields):
    verdict = gate(record, talk(text, **fields))
    assert verdict.passed == (not verdict.reason)
    return verdict.reason


@pytest.mark.parametrize("language", TEXTS)
def test_each_language_is_known_as_itself(language):
    assert reason(LANGUAGES, TEXTS[language], language=language) == ""


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("asked", ["en", "zh", "ja", "ko", "ru", "ar", "hi", "de"])
def test_no_language_passes_for_another(language, asked):
    refused = reason(LANGUAGES, TEXTS[language], language=asked)
    assert bool(refused) == (asked != language)


def test_the_language_gate_says_the_same_every_time():
    said = {reason(LANGUAGES, "MRI of liver lesion, T2 weighted axial view", language="en") for _ in range(20)}
    assert len(said) == 1


@pytest.mark.parametrize(
    "text",
    [
        "As an AI language model, I see a liver.",
        "I cannot view the image.",
        "I'm unable to help with that.",
        "The caption mentions a lesion.",
        "Based on the report, the liver is large.",
        "The lesion described in the text is small.",
        "Please consult a healthcare professional.",
        "作为一个AI，我认为这是肝脏。",
        "我无法查看图片。",
        "根据报告，肝脏正常。",
        "画像を確認できません。",
        "죄송하지만 이미지를 볼 수 없습니다.",
        "En tant qu'IA, je ne peux pas voir.",
        "Como una IA, no puedo ver la imagen.",
        "Como um modelo de linguagem, não posso.",
        "Als KI kann ich das nicht sehen.",
        "Как ИИ, я не могу видеть изображение.",
        "لا أستطيع رؤية الصورة.",
        "क्षमा करें, यह संभव नहीं है।",
        "Tôi không thể xem hình ảnh.",
    ],
)
def test_refusals_and_boilerplate_are_refused_in_every_language(text):
    assert reason(no_refusal(whole=False), text) == "refusal"


@pytest.mark.parametrize("text", TEXTS.values())
def test_plain_descriptions_are_no_refusals(text):
    assert reason(no_refusal(whole=False), text) == ""


@pytest.mark.parametrize(("text", "why"), [("one two", "too-short"), ("word " * 9, "too-long"), ("one two three", "")])
def test_length_counts_words(text, why):
    assert reason(length_within(3, 8), text) == why


def test_chinese_is_counted_by_characters():
    assert num_words("肝脏可见单个圆形病灶") == 6 and num_words("a liver-like organ, 4.1 mL") == 5


@given(st.lists(st.sampled_from(["liver", "left", "lesion", "病灶", "4.1"]), min_size=1, max_size=80))
def test_more_text_never_has_fewer_words(words):
    assert num_words(" ".join(words)) <= num_words(" ".join([*words, "more"]))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("the liver is large and " * 8, "repeated-phrase"),
        ("A lesion.\nAnother part here.\nA lesion.\nA lesion.", "repeated-line"),
        ("肝脏可见病灶，" * 10, "repeated-phrase"),
        (TEXTS["en"], ""),
        (TEXTS["zh"], ""),
        ("The left kidney is normal. The right kidney is normal.", ""),
    ],
)
def test_loops_are_refused_and_style_is_not(text, why):
    assert reason(not_repetitive(0.2, 0.3, 5.0), text) == why


@given(st.text(alphabet="abcde \n", max_size=300))
def test_repetition_measures_stay_in_range(text):
    assert 0 <= phrase_share(text) <= 1 and 0 <= line_share(text) < 1 and compression(text) > 0


@given(st.lists(st.sampled_from("abcdefgh"), min_size=4, max_size=12, unique=True), st.integers(4, 12))
def test_saying_it_all_again_and_again_is_always_refused(words, times):
    assert phrase_share(" ".join(words * times)) > 0.2


@pytest.mark.parametrize(("finish", "why"), [("stop", ""), ("length", "truncated"), ("content_filter", "unfinished")])
def test_a_reply_must_have_ended_by_itself(finish, why):
    assert reason(finished, "Text.", asks=((BLIND[0][0], Reply("{}", finish)),)) == why


@pytest.mark.parametrize(
    ("text", "why"),
    [("Seen on 12/03/2019 by Dr. Smith.", "phi"), ("MRN: 1234567", "phi"), ("The liver measures 3 cm.", "")],
)
def test_identifying_text_is_refused_and_not_repeated(text, why):
    verdict = no_phi(PLAIN, talk(text))
    assert verdict.reason == why and "Smith" not in verdict.detail and "1234567" not in verdict.detail


OPTIONS = "Which organ is it?\n\nA. liver\nB. kidney"


@pytest.mark.parametrize(
    ("human", "said", "kind", "gold", "why"),
    [
        (OPTIONS, "A. liver", "multiple_choice", "liver", ""),
        (OPTIONS, "<think>\nBrown.\n</think>\n\nA. liver", "multiple_choice", "liver", ""),
        (OPTIONS, "B. kidney", "multiple_choice", "liver", "not-the-gold"),
        (OPTIONS, "C. spleen", "multiple_choice", "liver", "bad-letter"),
        (OPTIONS, "It is the liver.", "multiple_choice", "liver", "bad-letter"),
        (OPTIONS, "A. liver", "multiple_choice", "spleen", "bad-options"),
        ("Which?\n\nA. liver\nB. Liver", "A. liver", "multiple_choice", "liver", "bad-options"),
        ("What does the liver scan show?\n\nA. liver\nB. kidney", "A. liver", "multiple_choice", "liver", "gold-leak"),
        ("Is it a liver?", "Yes.", "yes_no", "Yes", ""),
        ("Is it a liver?", "No.", "yes_no", "Yes", "not-the-gold"),
        ("Is it a liver?", "Perhaps.", "yes_no", "Perhaps", "not-the-gold"),
        ("What is it?", "The liver.", "open", "liver", ""),
        ("What does the liver look like?", "liver", "open", "liver", "gold-leak"),
        ("What is it?", "liver", "open", "", "no-gold"),
        ("Describe.", "A liver.", "free_text", None, ""),
    ],
)
def test_answers_are_valid_reached_and_not_given_away(human, said, kind, gold, why):
    assert reason(answer_holds, said, human=human, answer_type=kind, gold=gold) == why


def test_an_answer_that_no_attempt_reached_is_refused():
    assert reason(answer_holds, "A. liver", human=OPTIONS, pass_rate=0.0, gold="liver") == "gold-not-reached"


@given(st.text(alphabet="abc ", min_size=1).filter(str.strip))
def test_a_gold_that_is_copied_into_the_stem_always_leaks(gold):
    assert leaks(gold, f"Is it, {gold}?")


@pytest.mark.parametrize(
    ("text", "why"),
    [("The liver is enlarged.", ""), ("肝脏肿大。", ""), ("The stock market rose again.", "not-medical")],
)
def test_the_medical_domain_needs_a_medical_word(text, why):
    assert reason(is_medical, text, human="Tell me.") == why


def test_the_general_domain_may_speak_of_anything():
    general = replace(PLAIN, domain="general")
    assert reason(is_medical, "The stock market rose.", general, human="Tell me.") == ""


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ((Message("user", "Hi", 1), Message("assistant", "Liver")), ""),
        ((Message("system", "Be"), Message("user", "Hi", 1), Message("assistant", "Liver")), ""),
        ((Message("user", "Hi"), Message("assistant", "Liver")), "pictures"),
        ((Message("user", "Hi", 2), Message("assistant", "Liver")), "pictures"),
        ((Message("user", "Hi", 1), Message("assistant", " ")), "empty-turn"),
        ((Message("user", "Hi", 1),), "turns"),
        ((Message("assistant", "Liver"), Message("user", "Hi", 1)), "turns"),
        ((), "turns"),
    ],
)
def test_turns_alternate_and_show_every_picture_once(messages, why):
    verdict = well_formed(LIVER, replace(talk(""), messages=messages))
    assert verdict.reason == why


def test_reasoning_opens_with_its_thinking():
    assert reason(well_formed, "A. liver", task="reasoning") == "no-thinking"
    assert reason(well_formed, "<think>\nSo.\n</think>\n\nA. liver", task="reasoning") == ""


@pytest.mark.parametrize("name", [*GENERATORS, "another"])
def test_every_generator_has_gates_and_every_verdict_names_its_gate(name):
    conversation = replace(talk("This is a liver.", asks=BLIND), gold="liver")
    verdicts = [gate(LIVER, conversation) for gate in gates_of(name, Bounds())]
    assert len({verdict.gate for verdict in verdicts}) == len(verdicts) >= 8
    assert batch_gates_of(name, Bounds()) == () or name == "synthetic_qa"


def test_an_unknown_threshold_is_an_error_with_the_nearest():
    with pytest.raises(ConfigError, match="unknown key 'min_word': did you mean 'min_words'"):
        validate(Bounds, {"min_word": 3}, "[flows.x.gates]")


GATES = {"grounded": True, "self_contained": True, "clinically_valid": True, "consistent": True, "no_advice": True}


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ({"gates": GATES, "score": 9}, ""),
        ({"gates": GATES, "score": 8}, "judge-score"),
        ({"gates": {**GATES, "grounded": False}, "score": 10}, "judge-gate"),
        ("no idea", "judge-unparseable"),
    ],
)
async def test_the_judge_needs_every_gate_and_a_high_score(reply, why):
    (judge,) = judged_gates_of("caption", Bounds())
    ask = Teacher(reply)
    verdict = await judge(LIVER, talk("A liver."), ask)
    assert verdict.reason == why
    assert ask.requests[0].role == "judge" and ask.requests[0].sampling.temperature == 0
    assert "marked lesion" in ask.requests[0].turns[-1].text
