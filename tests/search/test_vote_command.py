"""`segvote vote` as it is typed."""

import csv

import numpy as np
import pytest
from PIL import Image

from ensembling import hard_vote
from ensembling.submission import SubmissionFile, SubmissionWriter
from search.cli import main

RNG = np.random.default_rng(0)
IDS = ("a/1.png", "a/2.png", "3.png")
MAPS = {name: RNG.integers(0, 4, (3, 64), dtype=np.uint8) for name in "ABC"}
MAPS["A"][2] = MAPS["B"][2] = MAPS["C"][2]  # an image on which all agree


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, maps in MAPS.items():
        write(f"{name}.csv", zip(IDS, maps))
    return tmp_path


def write(path, rows):
    with SubmissionWriter(path) as writer:
        for image_id, ids in rows:
            writer.add_ids(image_id, ids)


def vote(*words):
    return main(["vote", *words])


def result(path="vote.csv"):
    return dict(SubmissionFile(path))


def test_ranks_are_the_order_of_the_files(place, capsys):
    assert vote("B.csv", "A.csv", "C.csv", "--out", "vote.csv") == 0
    for place_, image_id in enumerate(IDS):
        stack = np.stack([MAPS[name][place_] for name in "BAC"])
        assert np.array_equal(result()[image_id], hard_vote(stack, 4))
    assert tuple(result()) == IDS
    assert "3 images, 192 pixels" in capsys.readouterr().out


def test_or_that_of_their_scores(place):
    assert vote("A.csv", "B.csv", "C.csv", "--out", "vote.csv", "--scores", "0.5,0.7,0.5") == 0
    stack = np.stack([MAPS[name][0] for name in "BAC"])
    assert np.array_equal(result()[IDS[0]], hard_vote(stack, 4))


def test_rows_may_have_another_order(place):
    write("C.csv", list(zip(IDS, MAPS["C"]))[::-1])
    assert vote("A.csv", "B.csv", "C.csv", "--out", "vote.csv") == 0
    assert tuple(result()) == IDS
    assert np.array_equal(result()[IDS[1]], hard_vote(np.stack([MAPS[name][1] for name in "ABC"]), 4))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["A.csv", "D.csv"], "D.csv: No such file"),
        (["A.csv", "A.csv"], "A.csv is named twice"),
        (["A.csv", "B.csv", "--scores", "0.5"], "these are 1 scores for 2 files"),
        (["A.csv", "B.csv", "--scores", "0.5,high"], "give numbers with commas between"),
        (["A.csv", "short.csv"], "short.csv lacks 1 images of A.csv: 3.png"),
        (["short.csv", "A.csv"], "short.csv lacks 1 images of A.csv: 3.png"),
        (["A.csv", "small.csv"], "image a/2.png has 16 class ids in small.csv, but 64 in A.csv"),
        (["A.csv", "B.csv", "--images", "."], "--images are for --diff"),
        (["A.csv", "B.csv", "--diff", "d", "--images", "nowhere"], "--images nowhere is no directory"),
        (["A.csv", "B.csv", "--diff", "d", "--classes", "A.csv"], "--classes A.csv names no classes"),
    ],
)
def test_mistakes_end_with_one_line_and_write_nothing(place, capsys, words, said):
    write("short.csv", list(zip(IDS, MAPS["B"]))[:2])
    write("small.csv", [(IDS[0], MAPS["B"][0]), (IDS[1], MAPS["B"][1][:16]), (IDS[2], MAPS["B"][2])])
    assert vote(*words, "--out", "vote.csv") == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (place / "vote.csv").exists()
    assert not list(place.glob(".vote*"))


def test_a_file_that_is_there_stays(place, capsys):
    assert vote("A.csv", "B.csv", "--out", "C.csv") == 2
    assert "C.csv exists" in capsys.readouterr().err
    assert np.array_equal(result("C.csv")[IDS[0]], MAPS["C"][0])
    assert vote("A.csv", "B.csv", "--out", "C.csv", "--overwrite") == 0
    assert np.array_equal(result("C.csv")[IDS[0]], MAPS["A"][0])


def test_what_the_vote_changed_is_painted_and_counted(place):
    (place / "photos" / "a").mkdir(parents=True)
    for image_id in IDS:
        Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(place / "photos" / image_id)
    (place / "classes.json").write_text('{"class_names": ["Background", "Paper", "Glass", "Metal"]}')
    flags = ["--diff", "diff", "--images", "photos", "--classes", "classes.json"]
    assert vote("A.csv", "B.csv", "C.csv", "--out", "vote.csv", *flags) == 0
    best, voted = np.concatenate(MAPS["A"]), np.concatenate(list(result().values()))
    names = np.array(["Background", "Paper", "Glass", "Metal"])
    with open("diff/changes.csv") as file:
        rows = [(row["from"], row["to"], int(row["pixels"])) for row in csv.DictReader(file)]
    assert sum(count for _, _, count in rows) == (best != voted).sum() > 0
    for old, new, count in rows:
        assert count == ((names[best] == old) & (names[voted] == new) & (best != voted)).sum()
    for image_id, ids in result().items():
        picture = place / "diff" / f"{image_id}.png"
        changed = ids != MAPS["A"][IDS.index(image_id)]
        assert picture.exists() == changed.any()
        if changed.any():
            painted = (np.asarray(Image.open(picture)) != 90).any(-1).reshape(-1)
            assert np.array_equal(painted, changed)


def test_without_photos_the_best_files_classes_are_the_ground(place):
    assert vote("A.csv", "B.csv", "C.csv", "--out", "vote.csv", "--diff", "diff") == 0
    assert Image.open("diff/a/1.png.png").size == (8, 8)


def test_maps_that_are_no_squares_cannot_be_shown(place, capsys):
    for name in "AB":
        write(f"{name}.csv", [(IDS[0], MAPS[name][0][:60])])
    write("C.csv", [(IDS[0], MAPS["C"][0][:60])])
    assert vote("A.csv", "B.csv", "C.csv", "--out", "other.csv", "--diff", "diff") == 2
    assert "make no square" in capsys.readouterr().err
