"""How often one rendition is stored, by flow and modality."""

from pathlib import Path

from corpus.audit.media import Repeats, lines, repeats
from corpus.changing.taking import take_snapshot
from tests.support.corpora import commit
from tests.support.samples import make_png, make_sample, make_task


def test_a_rendition_that_flows_share_is_counted_once_in_the_total(tmp_path: Path) -> None:
    tasks = [make_task(0, 4, flow=flow) for flow in ("captioning", "synthetic-qa")]
    for task in tasks:
        samples = [make_sample(i, flow=task.flow, split="train", modality=("CT", None)[i // 3]) for i in range(4)]
        commit(tmp_path, task, samples)
    sizes = [len(make_png(i * 10)) for i in range(3)]
    captions, questions, total = repeats(take_snapshot(tmp_path, tasks))
    assert captions == Repeats("captioning", "CT", 3, 3, 1, sum(sizes), sum(sizes))
    assert (questions.flow, questions.num_renditions, questions.share_saved) == ("synthetic-qa", 3, 0.0)
    assert total == Repeats("all", "all", 6, 3, 2, 2 * sum(sizes), sum(sizes))
    assert total.share_saved == 0.5
    head, *_, last = lines([captions, questions, total])
    assert head.split()[:3] == ["flow", "modality", "images"]
    assert last.split() == ["all", "all", "6", "3", "2", "0.0", "0.0", "50.0%"]


def test_questions_about_one_volume_repeat_its_frames(tmp_path: Path) -> None:
    task = make_task(0, 3)
    commit(tmp_path, task, [make_sample(7, split="train", num_images=4) for _ in range(3)])
    cell, _ = repeats(take_snapshot(tmp_path, [task]))
    assert (cell.num_images, cell.num_renditions, cell.most) == (12, 4, 3)


def test_a_corpus_without_images_has_only_a_total_of_none(tmp_path: Path) -> None:
    commit(tmp_path, make_task(), [make_sample(0, modality=None)])
    assert repeats(take_snapshot(tmp_path, [make_task()])) == [Repeats("all", "all", 0, 0, 0, 0, 0)]
