"""Benchmarks in their publishers' own layouts: small files of each, read through the shipped entries."""

import base64
import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import ConfigError, SourceError
from schemas.record import Record, Reject
from schemas.taxonomy import Modality
from sources.catalogue import catalogue, load_catalogue, open_source
from sources.entry import Entry
from tests.support.samples import make_png

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
BENCHMARKS = sorted(id for id, entry in catalogue().items() if entry.never_train)


def picture(seed: int) -> dict[str, Any]:
    return {"bytes": make_png(seed, 24, 24), "path": None}


def parquet(path: Path, rows: Sequence[dict[str, Any]], group_rows: int = 2, **types: pa.DataType) -> None:
    """A Parquet file as `datasets` writes one: several row groups, pictures as structs."""
    table = pa.Table.from_pylist(list(rows))
    for name, kind in types.items():
        values = pa.array([row.get(name) for row in rows], kind)
        table = table.set_column(table.column_names.index(name), name, values)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=group_rows)


def jsons(path: Path, rows: Sequence[dict[str, Any]], lines: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) if lines else json.dumps(rows)
    path.write_text(text, encoding="utf-8")


def put(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(make_png(seed, 24, 24))


def entry_at(folder: Path, id: str, num: int, **changes: Any) -> Entry:
    """The shipped entry, its data in `folder`, for a file of `num` rows."""
    return catalogue()[id].model_copy(update={"folder": folder, "path": ".", "records": num, **changes})


def read(folder: Path, id: str, num: int, start: int = 0, stop: int | None = None) -> list[Record]:
    source = open_source(id, {id: entry_at(folder, id, num)})
    items = list(source.records(source.shards()[0], start, stop))
    assert not [item for item in items if isinstance(item, Reject)], items
    return [item for item in items if isinstance(item, Record)]


def asked(record: Record) -> tuple[str, tuple[str, ...], str]:
    question = record.facts.question
    assert question is not None
    return question.stem, question.options, question.gold


def test_fifteen_benchmarks_ship_and_no_flow_is_named_in_one() -> None:
    assert len(BENCHMARKS) == 15
    assert not [id for id in BENCHMARKS if catalogue()[id].flows]


@pytest.mark.parametrize("id", BENCHMARKS)
def test_absent_data_is_an_error_that_says_what_to_put_where(id: str, tmp_path: Path) -> None:
    entry = catalogue()[id].model_copy(update={"folder": tmp_path})
    source = open_source(id, {id: entry})
    assert source.shards()[0].num_records == entry.records
    with pytest.raises(SourceError, match=f"no folder .*; put {entry.upstream.split()[0].rstrip(',')}"):
        list(source.records(source.shards()[0]))


@pytest.mark.parametrize("id", ["vqa-rad", "path-vqa"])
def test_pictures_inside_parquet_rows(id: str, tmp_path: Path) -> None:
    rows = [{"image": picture(n // 2), "question": f"What is {n}?", "answer": f"thing {n}"} for n in range(5)]
    parquet(tmp_path / "data" / "test-00000-of-00002.parquet", rows[:3], image=IMAGE)
    parquet(tmp_path / "data" / "test-00001-of-00002.parquet", rows[3:], image=IMAGE)
    parquet(tmp_path / "data" / "train-00000-of-00001.parquet", rows, image=IMAGE)
    records = read(tmp_path, id, 5)
    assert [asked(record) for record in records] == [(f"What is {n}?", (), f"thing {n}") for n in range(5)]
    assert all(len(record.frames) == 1 and record.split == "test" for record in records)
    # no patient is named: questions about one picture are one group
    assert [len({record.group for record in records[i : i + 2]}) for i in (0, 2)] == [1, 1]
    assert records[0].group != records[2].group and records[0].group.startswith(f"{id}:")
    assert read(tmp_path, id, 5, 1, 4) == records[1:4]


def test_slake_is_a_json_array_with_a_folder_per_picture_in_two_languages(tmp_path: Path) -> None:
    rows = [
        {"img_id": 1, "img_name": "xmlab1/source.jpg", "question": "Which organ?", "answer": "Liver", "q_lang": "en",
         "location": "Abdomen", "modality": "MRI", "answer_type": "OPEN", "triple": ["vhead", "_", "_"], "qid": 11},
        {"img_id": 1, "img_name": "xmlab1/source.jpg", "question": "这是什么器官？", "answer": "肝", "q_lang": "zh",
         "location": "Abdomen", "modality": "PET scan", "answer_type": "OPEN", "triple": [], "qid": 12},
    ]  # fmt: skip
    jsons(tmp_path / "test.json", rows)
    put(tmp_path / "imgs" / "xmlab1" / "source.jpg", 1)
    first, second = read(tmp_path, "slake", 2)
    assert (first.id, first.language, second.language) == ("11", "en", "zh")
    assert first.group == second.group == "slake:xmlab1"
    assert first.hints.modality is Modality.MRI
    assert second.hints.modality is None, "a benchmark's row is not lost for a tag that is not mapped"
    assert asked(second) == ("这是什么器官？", (), "肝")
    assert first.media[0].sha256 == second.media[0].sha256


def test_pmc_vqa_is_csv_with_a_column_per_option_and_the_article_in_the_figures_name(tmp_path: Path) -> None:
    letters = [f"Choice {letter}" for letter in "ABCD"]
    names = ["index", "Figure_path", "Caption", "Question", *letters, "Answer", "split"]
    options = ["A:Liver", "B:Spleen", "C:Lung", "D: "]
    values = ["7", "PMC8253797_Fig4_11.jpg", 'A CT, "axial"', "Where is it?", *options, "B", "test"]
    with (tmp_path / "test_2.csv").open("w", newline="") as file:
        csv.writer(file).writerows([names, values, ["8", *values[1:]]])
    put(tmp_path / "figures" / "PMC8253797_Fig4_11.jpg", 3)
    first, second = read(tmp_path, "pmc-vqa", 2)
    assert first.group == second.group == "pmc:PMC8253797"
    assert asked(first) == ("Where is it?", ("Liver", "Spleen", "Lung"), "Spleen")
    assert first.facts.caption == 'A CT, "axial"' and len(first.frames) == 1


def test_omnimedvqa_is_many_json_arrays_with_two_to_four_options(tmp_path: Path) -> None:
    row = {"dataset": "ISIC2018", "question_id": "isic_1", "question_type": "Disease Diagnosis", "question": "Which?",
           "gt_answer": "Melanoma", "image_path": "Images/ISIC/a.png", "option_A": "Nevus", "option_B": "Melanoma",
           "modality_type": "Dermoscopy"}  # fmt: skip
    folder = tmp_path / "QA_information" / "Open-access"
    jsons(folder / "ISIC2018.json", [row, {**row, "question_id": "isic_2", "option_C": "Wart", "option_D": "Scar"}])
    jsons(folder / "Chest CT Scan.json", [{**row, "question_id": "ct_1", "dataset": "Chest CT Scan"}])
    put(tmp_path / "Images" / "ISIC" / "a.png", 4)
    records = read(tmp_path, "omnimedvqa", 3)
    assert [record.id for record in records] == ["ct_1", "isic_1", "isic_2"]
    assert [len(asked(record)[1]) for record in records] == [2, 2, 4]
    assert all(asked(record)[2] == "Melanoma" for record in records)
    assert records[1].facts.metadata["dataset"] == "ISIC2018"


@pytest.mark.parametrize(
    "options",
    [{"A": "Gout", "B": "Lupus"}, [{"letter": "A", "content": "Gout"}, {"letter": "B", "content": "Lupus"}]],
)
def test_medxpertqa_is_json_lines_with_either_form_of_options(tmp_path: Path, options: Any) -> None:
    row = {"id": "Text-1", "question": "A 44-year-old seen on 2020-01-02?", "options": options, "label": "B",
           "medical_task": "Diagnosis", "body_system": "Skeletal", "question_type": "Reasoning"}  # fmt: skip
    jsons(tmp_path / "Text" / "test.jsonl", [row], lines=True)
    jsons(tmp_path / "MM" / "test.jsonl", [{**row, "id": "MM-0", "images": ["MM-0-a.jpeg", "MM-0-b.jpeg"]}], lines=True)
    for number, name in enumerate(("MM-0-a.jpeg", "MM-0-b.jpeg")):
        put(tmp_path / "images" / name, number)
    (text,), (seen,) = read(tmp_path, "medxpertqa-text", 1), read(tmp_path, "medxpertqa-mm", 1)
    assert asked(text) == asked(seen) == (row["question"], ("Gout", "Lupus"), "Lupus")
    assert (len(text.frames), len(seen.frames)) == (0, 2)


def test_medqa_is_json_lines_with_a_letter_as_its_answer(tmp_path: Path) -> None:
    row = {"question": "Which drug?", "answer": "Nitrofurantoin", "options": {"A": "Ampicillin", "B": "Nitrofurantoin"},
           "meta_info": "step1", "answer_idx": "B", "metamap_phrases": []}  # fmt: skip
    jsons(tmp_path / "phrases_no_exclude_test.jsonl", [row], lines=True)
    assert asked(read(tmp_path, "medqa-usmle", 1)[0]) == (
        "Which drug?",
        ("Ampicillin", "Nitrofurantoin"),
        "Nitrofurantoin",
    )


def test_medmcqa_counts_answers_from_zero_and_a_hidden_one_loses_no_question(tmp_path: Path) -> None:
    row = {"id": "a", "question": "Which?", "opa": "W", "opb": "X", "opc": "Y", "opd": "Z", "cop": 2, "exp": "Because."}
    rows = [{**row, "subject_name": "Anatomy", "topic_name": None}, {**row, "id": "b", "cop": -1, "exp": None}]
    parquet(tmp_path / "data" / "validation-00000-of-00001.parquet", rows)
    first, second = read(tmp_path, "medmcqa", 2)
    assert asked(first) == ("Which?", ("W", "X", "Y", "Z"), "Y") and first.split == "validation"
    assert asked(second) == ("Which?", ("W", "X", "Y", "Z"), "")


def test_pubmedqa_has_its_context_inside_a_struct_and_its_article_as_the_group(tmp_path: Path) -> None:
    context = {"contexts": ["First part.", "Second part."], "labels": ["A", "B"], "meshes": []}
    row = {
        "pubid": 21645374,
        "question": "Does it?",
        "context": context,
        "long_answer": "It does.",
        "final_decision": "yes",
    }
    parquet(tmp_path / "pqa_labeled" / "train-00000-of-00001.parquet", [row])
    (record,) = read(tmp_path, "pubmedqa", 1)
    assert (record.id, record.group) == ("21645374", "pmid:21645374")
    assert record.facts.report == "First part.\nSecond part." and asked(record)[2] == "yes"


def test_mmlu_has_a_folder_per_subject_and_an_index_as_its_answer(tmp_path: Path) -> None:
    subjects = sorted(str(name).split("/")[0] for name in catalogue()["mmlu-med"].columns.file)  # pyright: ignore
    for subject in subjects:
        row = {"question": f"On {subject}?", "subject": subject, "choices": ["a", "b", "c", "d"], "answer": 3}
        parquet(tmp_path / subject / "test-00000-of-00001.parquet", [row])
    records = read(tmp_path, "mmlu-med", 6)
    assert [record.facts.metadata["subject"] for record in records] == subjects
    assert all(asked(record)[2] == "d" for record in records)


def test_cmexam_and_cmb_have_options_as_objects_and_several_letters_as_an_answer(tmp_path: Path) -> None:
    options = [{"key": "A", "value": "甲"}, {"key": "B", "value": "乙"}, {"key": "C", "value": "丙"}]
    jsons(tmp_path / "test.json", [{"Question": "哪些？", "Options": options, "Answer": "AC", "Explanation": "解释"}])
    row = {
        "id": 1,
        "exam_type": "医师考试",
        "question": "下列哪项？",
        "question_type": "单项选择题",
        "option": {"A": "甲", "B": "", "C": "丙"},
    }
    jsons(tmp_path / "CMB-Exam" / "CMB-test" / "CMB-test-choice-question-merge.json", [row])
    (cmexam,), (cmb,) = read(tmp_path, "cmexam", 1), read(tmp_path, "cmb-exam", 1)
    assert asked(cmexam) == ("哪些？", ("甲", "乙", "丙"), "甲; 丙") and cmexam.language == "zh"
    assert asked(cmb) == ("下列哪项？", ("甲", "丙"), "")


def test_mmmu_has_seven_picture_columns_and_options_as_text(tmp_path: Path) -> None:
    entry = catalogue()["mmmu-health-medicine"]
    assert entry.columns and isinstance(entry.columns.file, tuple)
    rows = [
        {"id": "v_1", "question": "<image 1> and <image 2>?", "options": "['It\\'s gray', \"white\"]", "answer": "B",
         **{f"image_{n}": picture(n) if n < 3 else None for n in range(1, 8)}},
        {"id": "v_2", "question": "Name it.", "options": "[]", "answer": "?",
         **{f"image_{n}": None for n in range(1, 8)}},
    ]  # fmt: skip
    for number, name in enumerate(entry.columns.file):
        named = [{**row, "id": f"{row['id']}_{number}"} for row in rows]
        images = {f"image_{n}": IMAGE for n in range(1, 8)}
        parquet(tmp_path / name.replace("*", "00000-of-00001"), named, **images)
    records = read(tmp_path, "mmmu-health-medicine", 20)
    assert [len(record.frames) for record in records[:2]] == [2, 0]
    assert asked(records[0]) == ("<image 1> and <image 2>?", ("It's gray", "white"), "white")
    assert asked(records[1])[1:] == ((), "")


def test_medframeqa_groups_by_video(tmp_path: Path) -> None:
    row = {
        "question_id": "q1",
        "question": "Which?",
        "options": ["A. one", "B. two"],
        "correct_answer": "A",
        "video_id": "dQw",
    }
    rows = [{**row, **{f"image_{n}": picture(n) if n < 4 else None for n in range(1, 6)}}]
    parquet(tmp_path / "data" / "test-00000-of-00001.parquet", rows, **{f"image_{n}": IMAGE for n in range(1, 6)})
    (record,) = read(tmp_path, "medframeqa", 1)
    assert record.group == "youtube:dQw" and len(record.frames) == 3
    assert asked(record)[1:] == (("one", "two"), "one")


MINE = """
id = "mine"
title = "A table of ours"
shape = "table-files"
path = "."
pinned = "1"
records = 2
access = "open"
egress = "any"
citation = "ourselves"
license = { name = "MIT" }
[columns]
file = { train = "train.tsv", test = "test.tsv" }
id = "index"
group = "video"
images = "image"
image_encoding = "base64"
question = "question"
options = ["A", "B"]
answer = "answer"
answer_is = "number"
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    for split, index in (("train", "1"), ("test", "2")):
        data = base64.b64encode(make_png(int(index), 24, 24)).decode()
        with (tmp_path / f"{split}.tsv").open("w", newline="") as file:
            writer = csv.writer(file, delimiter="\t")
            writer.writerow(["index", "image", "question", "A", "B", "answer", "video"])
            writer.writerow([index, data * 1, "Which?\nOf these", "one", "two", "2", "v"])
    (tmp_path / "mine.toml").write_text(MINE)
    return tmp_path


def records_of(folder: Path) -> list[Record | Reject]:
    source = open_source("mine", load_catalogue(folder))
    return list(source.records(source.shards()[0]))


def change(folder: Path, old: str, new: str) -> None:
    text = (folder / "mine.toml").read_text()
    assert old in text
    (folder / "mine.toml").write_text(text.replace(old, new, 1))


def test_a_file_for_each_split_is_the_publishers_split_unless_the_entry_takes_the_hash(mine: Path) -> None:
    first, second = records_of(mine)
    assert isinstance(first, Record) and isinstance(second, Record)
    assert (first.split, second.split, first.group) == ("train", "test", "mine:v")
    assert first.facts.question and first.facts.question.gold == "two"
    assert first.frames[0].width == 24 and first.media[0].origin == "mine:1#0"
    change(mine, 'pinned = "1"', 'pinned = "1"\nsplits = "hash"\ngroups = "youtube"')
    first, second = records_of(mine)
    assert isinstance(first, Record) and isinstance(second, Record)
    assert first.split is None and second.split is None and first.group == second.group == "youtube:v"


def test_a_source_that_is_trained_on_keeps_the_strict_rules(mine: Path) -> None:
    change(mine, 'answer_is = "number"', 'answer_is = "index"')
    assert [item.reason for item in records_of(mine) if isinstance(item, Reject)] == ["answer-not-an-option"] * 2
    change(mine, 'answer_is = "index"', 'answer_is = "number"\nmodality = "question"')
    assert {item.reason for item in records_of(mine) if isinstance(item, Reject)} == {"unmapped-modality"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("records = 2", "records = 3", r"says 3 records, its 2 files have 2 rows"),
        ('"test.tsv"', '"tests.tsv"', r"file 'tests.tsv' is missing"),
        ('"test.tsv"', '"mine.toml"', r"a table ends in \.parquet"),
        ('"test.tsv"', '"broken.parquet"', r"broken.parquet: cannot be read"),
        ('"test.tsv"', '"broken.json"', r"broken.json: cannot be read"),
    ],
)
def test_data_that_differs_from_the_entry_stops_with_what_and_where(
    mine: Path, old: str, new: str, message: str
) -> None:
    (mine / "broken.parquet").write_bytes(b"PAR1 no")
    (mine / "broken.json").write_text("[1, 2]")
    change(mine, old, new)
    with pytest.raises(SourceError, match=message):
        records_of(mine)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('group = "video"', 'group = "video"\ngroup_match = "("', "'columns.group_match' is no pattern"),
        ('group = "video"', 'group = "video"\ngroup_match = "v"', "has no group"),
        ('pinned = "1"', 'pinned = "1"\nnever_train = true\nflows = ["captioning"]', "no meaning for a benchmark"),
        ('pinned = "1"', 'pinned = "1"\ngroups = "PMC id"', "key 'groups'"),
        ('pinned = "1"', 'pinned = "1"\nsplits = "mine"', "key 'splits'"),
    ],
)
def test_a_wrong_entry_is_a_sentence_that_names_the_key(mine: Path, old: str, new: str, message: str) -> None:
    change(mine, old, new)
    with pytest.raises(ConfigError, match=message):
        load_catalogue(mine)


def test_a_picture_that_is_none_is_a_reject_in_its_place(mine: Path) -> None:
    (mine / "test.tsv").write_text("index\timage\tquestion\tA\tB\tanswer\tvideo\n9\tnot base64!\tWhich?\ta\tb\t1\tv\n")
    first, second = records_of(mine)
    assert isinstance(first, Record)
    assert isinstance(second, Reject) and (second.record_id, second.reason) == ("9", "undecodable")


def test_a_csv_cell_may_be_larger_than_the_csv_modules_default(mine: Path) -> None:
    from PIL import Image

    buffer = io.BytesIO()
    Image.effect_noise((500, 500), 90).save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    assert len(data) > 131_072
    (mine / "test.tsv").write_text(f"index\timage\tquestion\tA\tB\tanswer\tvideo\n9\t{data}\tWhich?\ta\tb\t1\tv\n")
    assert all(isinstance(item, Record) for item in records_of(mine))
