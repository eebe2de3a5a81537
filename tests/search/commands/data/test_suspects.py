"""What the ranking of suspects is written as."""

import csv
import io

import yaml

from search.commands.data.suspects import _as_csv, _draft, _look
from tests.trainables.data.made import annotation, coco, image, write
from trainables.data.coco import load_annotations
from trainables.data.edits import apply_edits, read_edits
from trainables.data.exploration.suspects import Suspect

CATEGORIES = [{"id": 1, "name": "Paper: thin"}, {"id": 2, "name": "Glass"}]


def made(tmp_path):
    images = [image(number, f"{number}.png") for number in (1, 2, 3)]
    shapes = [annotation(number, number, 2) for number in (1, 2, 3)]
    dataset = load_annotations(write(tmp_path, photos=False, train=coco(images, shapes, CATEGORIES)))
    suspects = [Suspect(row, row + 1, 2, says, 0.1, 0.8, 24, 3, 0.7) for row, says in ((0, 1), (1, 0), (2, 1))]
    return dataset, suspects


def test_the_draft_relabels_what_is_neither_background_nor_holdout(tmp_path):
    dataset, suspects = made(tmp_path)
    text = _draft(suspects, dataset, holdout={2})
    assert yaml.safe_load(text) == {
        "rules": [{"relabel": {"annotations": [1], "images": ["1.png"], "to": "Paper: thin"}}]
    }
    assert "# 2.png, id 2: background?" in text
    assert "# 3.png, id 3: Paper: thin? It is of the holdout." in text
    (tmp_path / "draft.yaml").write_text(text)
    edited = apply_edits(dataset, read_edits(tmp_path / "draft.yaml"), holdout=[2])
    assert [one.annotations[0].category_id for one in edited.dataset.images] == [1, 2, 2]


def test_the_draft_can_be_read_where_annotations_have_no_ids(tmp_path):
    shapes = [annotation(0, number, 2) for number in (1, 2)]
    images = [image(number, f"{number}.png") for number in (1, 2)]
    dataset = load_annotations(write(tmp_path, photos=False, train=coco(images, shapes, CATEGORIES)))
    (tmp_path / "draft.yaml").write_text(
        _draft([Suspect(1, "annotations[1]", 2, 1, 0.1, 0.8, 24, 3, 0.7)], dataset, holdout=set())
    )
    edited = apply_edits(dataset, read_edits(tmp_path / "draft.yaml"))
    assert [one.annotations[0].category_id for one in edited.dataset.images] == [2, 1]


def test_the_table_has_a_line_a_suspect(tmp_path):
    dataset, suspects = made(tmp_path)
    lines = list(csv.DictReader(io.StringIO(_as_csv(suspects, dataset))))
    assert [line["annotation_id"] for line in lines] == ["1", "2", "3"]
    assert (lines[0]["label"], lines[0]["says"], lines[1]["says"]) == ("Glass", "Paper: thin", "Background")


def test_each_picture_says_label_and_vote(tmp_path):
    dataset, suspects = made(tmp_path)
    look = _look(suspects, dataset)
    assert look.captions[0] == "1: Glass, or Paper: thin?"
    assert [annotation.id for _, annotation in look.tiles] == [1, 2, 3]
