"""The phrases of a teacher that refuses, speaks of itself or of its instructions, in twelve languages."""

import re
from typing import Final

_PAPERS: Final = "caption|report|text|description|facts?|context|metadata"
_PHRASES: Final = (
    # English
    r"\bas an? (?:ai|artificial|(?:large )?language model)\b",
    r"\bi(?:'m| am)? ?(?:cannot|can't|can not|unable|not able|sorry)\b",
    r"\bi (?:do not|don't) have (?:access|the ability)\b",
    r"\bconsult (?:a|an|your|with a) (?:\w+ )?(?:doctor|physician|professional|provider|radiologist)\b",
    rf"\b(?:based on|according to|from) the (?:given |provided )?(?:{_PAPERS}|labels?)\b",
    rf"\bthe (?:{_PAPERS}) (?:mentions?|states?|says?|describes?|provides?|indicates?|given)\b",
    r"\b(?:mentioned|described|stated|given|provided) (?:in|by) the (?:caption|context|report|text|facts|metadata)\b",
    r"\bprovided (?:image|information|facts|context|data)\b",
    r"\bfile ?names?\b",
    # Chinese, Japanese, Korean
    r"作为(?:一个|一名)?\s*(?:AI|人工智能|语言模型)",
    r"(?:我)?(?:无法|不能)(?:查看|提供|回答|看到)",
    r"(?:根据|依据)(?:图注|报告|描述|所提供|标题)",
    r"(?:抱歉|对不起)",
    r"画像を(?:確認|表示|見ること)(?:でき|が)",
    r"(?:AI|言語モデル)として",
    r"申し訳(?:ありません|ございません)",
    r"(?:AI|인공지능|언어 ?모델)(?:로서|으로서)",
    r"죄송(?:합니다|하지만)",
    r"(?:볼|제공할|확인할) 수 없습니다",
    # French, Spanish, Portuguese, German
    r"\ben tant qu['’](?:ia|intelligence|un modèle|assistant)",
    r"\bje (?:ne (?:peux|suis) pas|suis désolé)",
    r"\bcomo (?:una? |um |uma )?(?:ia|inteligencia|inteligência|modelo de (?:lenguaje|linguagem))\b",
    r"\b(?:no puedo|lo siento|no soy capaz de)\b",
    r"\b(?:não posso|desculpe|sinto muito)\b",
    r"\bals (?:ki|künstliche|sprachmodell)\b",
    r"\b(?:ich kann (?:nicht|keine)|es tut mir leid)\b",
    r"\b(?:selon|d'après) (?:la légende|le rapport|la description)\b",
    r"\bsegún (?:el informe|la leyenda|la descripción)\b",
    r"\b(?:laut|gemäß) (?:dem bericht|der bildunterschrift|der beschreibung)\b",
    r"\bsegundo (?:o relatório|a legenda|a descrição)\b",
    # Russian, Arabic, Hindi, Vietnamese
    r"\bкак (?:ии|искусственный|языковая модель)\b",
    r"\bя не могу\b",
    r"\bизвините\b",
    r"\bсогласно (?:отчету|отчёту|описанию|подписи)\b",
    r"كنموذج (?:لغوي|ذكاء)",
    r"لا (?:أستطيع|يمكنني)",
    r"عذر[اًا]",
    r"(?:एआई|भाषा मॉडल) के (?:रूप में|तौर पर)",
    r"(?:मैं .{0,30}नहीं (?:कर|देख) सकत)",
    r"क्षमा करें",
    r"\blà một (?:ai|mô hình)",
    r"\btôi (?:không thể|xin lỗi)\b",
    r"\bxin lỗi\b",
    r"\btheo (?:báo cáo|chú thích|mô tả)\b",
)
"""Sources: medical-data.md 4.2 step 4, and the phrases that LLaVA-Med and M3D forbid in prompts."""

_PATTERN: Final = re.compile("|".join(_PHRASES), re.IGNORECASE)


def refuses(text: str) -> str:
    """The first phrase of refusal or boilerplate in `text`, or ""."""
    found = _PATTERN.search(text.replace("’", "'"))
    return found[0] if found else ""
