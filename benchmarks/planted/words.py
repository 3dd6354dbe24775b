"""Words of the planted questions and the rules that rewrite them; the detector knows none of this."""

from typing import Final

VIGNETTE: Final = (
    "A {age}-year-old {sex} presents with {a}, {b} and {c}. The {sex} has a history of {old}. "
    "Which of the following is the most likely diagnosis?",
    "A {age}-year-old {sex} is brought to the emergency department because of {a} and {b} for {days} days. "
    "On examination {c} is noted. Past medical history includes {old}. What is the most likely diagnosis?",
)
VIGNETTE_AGAIN: Final = (
    "Consider a {sex} of {age} years whose past history includes {old}, and who now complains of {b}, {c} and {a}. "
    "What condition best explains this picture?",
    "{A}, {b} and {c} bring a {age}-year-old {sex} with previous {old} to hospital. Name the diagnosis.",
)
INCLUDED: Final = ("Which of the following conditions is classified under {title}?",)
INCLUDED_AGAIN: Final = ("{Title}: which condition listed below belongs to this category?",)
EXCLUDED: Final = ("Which of the following conditions must not be coded together with {title}?",)
MANAGED: Final = (
    "A {age}-year-old {sex} with known {old} is diagnosed with {title}. What is the most appropriate next step in "
    "management of {a}?",
)
MANAGED_AGAIN: Final = (
    "What should be done next about {a} in a {sex} aged {age} years in whom {title} was found, and who has "
    "known {old}?",
)
STATEMENT: Final = "The combination of {c}, {a} and {b} in a {sex} of {age} years who has had {old} points to {answer}."

STEPS: Final = (
    "Reassurance and follow-up in two weeks",
    "Contrast-enhanced computed tomography of the abdomen",
    "Intravenous antibiotics and blood cultures",
    "Referral for urgent surgery",
    "Magnetic resonance imaging of the brain",
    "Oral corticosteroids for five days",
    "Serial troponin measurement and electrocardiogram",
    "Ultrasound-guided biopsy",
    "Physical therapy and oral analgesics",
    "Discontinuation of the current medication",
)

SYNONYMS: Final = {
    "presents with": "comes in with",
    "most likely": "most probable",
    "diagnosis": "condition responsible",
    "history of": "background of",
    "examination": "physical assessment",
    "is noted": "is found",
    "brought to": "taken to",
    "because of": "owing to",
    "includes": "comprises",
    "disease": "disorder",
    "diseases": "disorders",
    "pain": "ache",
    "fever": "pyrexia",
    "malignant neoplasm": "cancer",
    "neoplasm": "tumor",
    "fracture": "break",
    "acute": "sudden",
    "unspecified": "not otherwise specified",
    "classified under": "grouped within",
    "appropriate": "suitable",
    "management": "treatment",
    "difficulty": "trouble",
    "shortness of breath": "breathlessness",
    "dyspnea": "breathlessness",
    "edema": "swelling",
    "abnormal": "unusual",
    "of the following": "of these",
    "patient": "person",
    "conditions": "entities",
    "infection": "infectious process",
    "kidney": "renal",
    "heart": "cardiac",
    "liver": "hepatic",
    "bleeding": "hemorrhage",
    "hemorrhage": "bleeding",
    "inflammatory": "inflammation-related",
    "congenital": "inborn",
    "child": "youngster",
}
SHORTER: Final = {
    "emergency department": "ED",
    "past medical history": "PMH",
    "history": "hx",
    "diagnosis": "dx",
    "treatment": "tx",
    "hypertension": "HTN",
    "diabetes mellitus": "DM",
    "type 2 diabetes mellitus": "T2DM",
    "computed tomography": "CT",
    "magnetic resonance imaging": "MRI",
    "electrocardiogram": "ECG",
    "shortness of breath": "SOB",
    "chronic obstructive pulmonary disease": "COPD",
    "myocardial infarction": "MI",
    "-year-old man": "yo M",
    "-year-old woman": "yo F",
    "intravenous": "IV",
    "with": "w/",
    "urinary tract infection": "UTI",
    "human immunodeficiency virus": "HIV",
    "unspecified": "unsp.",
    "days": "d",
}


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


HAN_DISEASES: Final = _words(
    "急性心肌梗死 慢性阻塞性肺疾病 急性胰腺炎 系统性红斑狼疮 肝硬化失代偿期 急性肾小球肾炎 "
    "甲状腺功能亢进症 缺铁性贫血 再生障碍性贫血 脑梗死 蛛网膜下腔出血 结核性胸膜炎 "
    "支气管哮喘 胃溃疡穿孔 溃疡性结肠炎 原发性醛固酮增多症 类风湿关节炎 急性阑尾炎 "
    "异位妊娠破裂 前列腺增生症 膀胱癌 糖尿病酮症酸中毒 重症肌无力 帕金森病 特发性肺纤维化 "
    "感染性心内膜炎 主动脉夹层 肺血栓栓塞症 急性白血病 多发性骨髓瘤 "
)
HAN_SIGNS: Final = _words(
    "胸骨后压榨样疼痛 活动后气促 双下肢水肿 上腹部剧烈疼痛 反复咳嗽咳痰 低热盗汗 "
    "面部蝶形红斑 皮肤黏膜出血 肉眼血尿 心悸多汗 右侧肢体无力 突发剧烈头痛 转移性右下腹痛 "
    "晨僵超过一小时 阴道不规则流血 排尿困难 多饮多尿 眼睑下垂 静止性震颤 夜间阵发性呼吸困难 "
    "体重明显下降 黑便三天 意识模糊 颈静脉怒张 关节畸形 食欲减退 发热寒战 背部撕裂样疼痛 "
    "咯血 全身乏力 "
)
HAN: Final = ("患者{sex}，{age}岁，因{a}、{b}入院，既往有{old}病史。查体可见{c}。该患者最可能的诊断是什么？",)
HAN_AGAIN: Final = ("一名{age}岁{sex}性，曾患{old}，此次以{b}和{a}就诊，体检发现{c}，首先应考虑下列哪种疾病？",)
HAN_SYNONYMS: Final = {
    "入院": "住院",
    "患者": "病人",
    "既往": "过去",
    "最可能": "可能性最大",
    "查体": "体检",
    "疼痛": "痛",
    "诊断": "病",
}
