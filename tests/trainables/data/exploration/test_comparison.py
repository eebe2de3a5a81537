"""What differs between two annotation files, by hand."""

import json

from rich.console import Console

from search.commands.data.compare import run_compare
from tests.trainables.data.made import annotation, box, coco, image, write
from trainables.data.coco import load_annotations
from trainables.data.exploration.comparison import compare

IMAGES = [image(1, "a.png"), image(2, "b.png")]
BEFORE = [
    annotation(1, 1, 1),
    annotation(2, 1, 2, box(0, 0, 3, 3)),
    annotation(3, 2, 1),
    annotation(4, 2, 2, box(9, 0, 4, 4)),
]
AFTER = [
    annotation(1, 1, 2),
    annotation(2, 1, 2, box(0, 0, 3, 6)),
    annotation(9, 2, 1),
    annotation(10, 2, 1, box(0, 0, 2, 2)),
]


def files(tmp_path):
    write(tmp_path, photos=False, train=coco(IMAGES, BEFORE), val=coco([*IMAGES, image(3, "c.png")], AFTER))
    return tmp_path / "train.json", tmp_path / "val.json"


def test_annotations_are_matched_by_id_and_then_by_pixels(tmp_path):
    found = compare(*map(load_annotations, files(tmp_path)))
    assert found.relabelled == [("a.png", 1, "Paper", "Glass")]
    assert found.reshaped == [("a.png", 2, 0.5)]
    assert found.removed == [("b.png", 4, "Glass")]
    assert found.added == [("b.png", 10, "Paper")]
    assert found.images == ([], ["c.png"])
    assert found.categories == ([], [])
    assert found.changes_of_class == {("Paper", "Glass"): 1}


def test_annotations_without_ids_are_matched_by_pixels_alone(tmp_path):
    before = [annotation(number, 1, 1, box(2 * number, 0, 2, 2)) for number in range(4)]
    for one in before[:3]:
        del one["id"]
    contents = {"train": coco(IMAGES, before), "val": coco(IMAGES, [*before[1:], annotation(9, 1, 2)])}
    write(tmp_path, photos=False, **contents)
    found = compare(load_annotations(tmp_path / "train.json"), load_annotations(tmp_path / "val.json"))
    assert (found.removed, found.reshaped) == ([("a.png", "annotations[0]", "Paper")], [])
    gone = compare(load_annotations(tmp_path / "train.json"), load_annotations(files(tmp_path)[1]))
    assert [key for _, key, _ in gone.removed] == [3, "annotations[0]", "annotations[1]", "annotations[2]"]


def test_a_file_is_the_same_as_itself(tmp_path):
    one, _ = files(tmp_path)
    assert compare(load_annotations(one), load_annotations(one)).same


def test_machines_are_told_all_of_it(tmp_path, capsys):
    assert run_compare(*files(tmp_path), "background", Console(stderr=True), as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["same"] is False
    assert told["relabelled"] == [["a.png", 1, "Paper", "Glass"]]


def test_the_command_says_what_differs(tmp_path):
    console = Console(record=True, width=100)
    assert run_compare(*files(tmp_path), "background", console) == 0
    said = console.export_text()
    assert "a.png, id 1: Paper → Glass" in said
    assert "a.png, id 2: IoU 0.500" in said
