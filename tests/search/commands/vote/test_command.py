"""`segvote vote`: the vote over submission files, its ranks, its pictures and counts, and every mistake one message."""

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from ensembling import hard_vote
from ensembling.predict.submission import SubmissionFile, SubmissionWriter
from search.cli import main
from search.commands.vote.changes import GAP, picture_of_changes
from search.report.pictures import LEGEND_HEIGHT, overlay, palette
from tests.ensembling.recounted import naive

SIDE = 8
IMAGES = ("b/1.jpg", "b/0.jpg", "a,2.jpg", "3.jpg")


def write(path, rows):
    with SubmissionWriter(path) as writer:
        for image_id, ids in rows.items():
            writer.add_ids(image_id, ids)
    return str(path)


def read(path):
    with SubmissionFile(path) as file:
        return {image_id: file.ids(image_id) for image_id in file.image_ids}


def made(seed, images=IMAGES, pixels=SIDE * SIDE, classes=4):
    rng = np.random.default_rng(seed)
    return {image_id: rng.integers(0, classes, pixels).astype(np.uint8) for image_id in images}


@pytest.fixture
def vote(tmp_path, monkeypatch, capsys):
    """Runs `segvote vote` in an empty directory on a line so long that no message is folded."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments):
        code = main(["vote", *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def members(vote, tmp_path):
    """Four files of the same images, each in an order of its own; what is in them."""
    rng = np.random.default_rng(7)
    rows = {f"{name}.csv": made(seed) for seed, name in enumerate("ABCD")}
    for name, file in rows.items():
        order = IMAGES if name == "A.csv" else rng.permutation(IMAGES).tolist()
        write(tmp_path / name, {image_id: file[image_id] for image_id in order})
    return rows


def voted(rows, names):
    return {image_id: hard_vote(np.stack([rows[name][image_id] for name in names]), 255) for image_id in IMAGES}


def assert_rows(path, rows):
    found = read(path)
    assert list(found) == list(rows)
    for image_id, ids in rows.items():
        np.testing.assert_array_equal(found[image_id], ids)


def test_the_vote_is_that_of_the_files_as_ranked_by_their_order(vote, members):
    code, out, _ = vote(*members, "--out", "vote.csv")
    assert code == 0
    assert_rows("vote.csv", voted(members, list(members)))
    for image_id, ids in read("vote.csv").items():
        np.testing.assert_array_equal(ids, naive.vote([rows[image_id] for rows in members.values()], 4))
    assert "vote  vote.csv: 4 images, 256 pixels" in out


def test_images_come_in_the_order_of_the_first_file_given(vote, members, tmp_path):
    order = list(read("C.csv"))
    assert vote("C.csv", "A.csv", "B.csv", "--scores", "1,3,2", "--out", "new/vote.csv")[0] == 0
    assert list(read("new/vote.csv")) == order
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"vote.csv"}


@pytest.mark.parametrize(
    ("scores", "ranked"),
    [("0.6,0.61,0.59,0.6", "BADC"), ("1,1,1,1", "ABCD"), ("-4,-3,-2,-1e-3", "DCBA"), ("0,0,5,5", "CDAB")],
)
def test_scores_decide_ties_and_equal_ones_the_order(vote, members, scores, ranked):
    code, out, _ = vote(*members, f"--scores={scores}", "--out", "vote.csv")
    assert code == 0
    assert_rows("vote.csv", voted(members, [f"{name}.csv" for name in ranked]))
    lines = [line for line in out.splitlines() if ".csv │" in line]
    assert [line.split("│")[2].strip() for line in lines] == [f"{name}.csv" for name in ranked]


def test_the_table_has_the_share_of_pixels_that_differ(vote, members):
    _, out, _ = vote(*members, "--out", "vote.csv")
    answer = read("vote.csv")
    for name, rows in members.items():
        differs = np.mean([rows[image_id] != answer[image_id] for image_id in IMAGES])
        assert f"│ {name} │ {f'{differs:.2%}':>21} │" in out


def test_two_members_vote_as_the_better_one_and_it_is_said(vote, members):
    _, out, _ = vote("A.csv", "B.csv", "--scores", "0.1,0.2", "--out", "vote.csv")
    assert_rows("vote.csv", {image_id: members["B.csv"][image_id] for image_id in IMAGES})
    assert "The vote of two members equals the better one" in out


def test_maps_need_not_be_square_without_pictures(vote):
    files = [write(f"{seed}.csv", made(seed, pixels=7)) for seed in range(3)]
    assert vote(*files, "--out", "vote.csv")[0] == 0


def test_the_vote_of_files_as_other_programs_write_them_is_the_same(vote, members):
    vote(*members, "--out", "vote.csv")
    for name in members:
        content = Path(name).read_bytes()
        Path(name).write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"))
    assert vote(*members, "--out", "again.csv")[0] == 0
    assert Path("again.csv").read_bytes() == Path("vote.csv").read_bytes()


def changed_row(path, image_id, text):
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    lines = [f"{image_id},{text}" if line.startswith(f"{image_id},") else line for line in lines]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda: changed_row("C.csv", "3.jpg", "1 2 3"), "C.csv: image '3.jpg' has 3 class ids, but 64 in A.csv"),
        (lambda: changed_row("A.csv", "3.jpg", "1 2"), "B.csv: image '3.jpg' has 64 class ids, but 2 in A.csv"),
        (lambda: changed_row("B.csv", "3.jpg", "1 255"), r"B.csv: line \d, image '3.jpg': class id '255', but must be"),
        (lambda: changed_row("B.csv", "3.jpg", ""), r"B.csv: line \d, image '3.jpg': the PredictionString is empty"),
        (lambda: changed_row("B.csv", "3.jpg", "1 2,3"), r"B.csv: line \d is '3.jpg,1 2,3', but must be"),
        (
            lambda: changed_row("D.csv", "image_id", "x"),
            "D.csv: the first line is 'image_id,x', but must be the header",
        ),
        (lambda: changed_row("D.csv", "b/1.jpg", "1\nb/0.jpg,1"), "D.csv: image_id 'b/0.jpg' is in line . and again"),
        (lambda: Path("B.csv").write_bytes(b""), "B.csv: the file is empty"),
        (lambda: Path("B.csv").write_bytes(b"\x89PNG\r\n\x1a\n\0"), "B.csv: this is no text in UTF-8"),
        (lambda: Path("B.csv").unlink(), "B.csv is not there"),
        (lambda: write("B.csv", made(1, ("b/1.jpg", "3.jpg"))), "B.csv lacks 2 images .'b/0.jpg', 'a,2.jpg'. of A.csv"),
        (
            lambda: write("C.csv", made(1, (*IMAGES, *"vwxyz"))),
            "A.csv lacks 5 images .'v', 'w', 'x', …. of C.csv: the files must have the same images",
        ),
        (
            lambda: write("B.csv", made(1, (*IMAGES[:3], "4.jpg"))),
            "B.csv lacks 1 image .'3.jpg'. of A.csv; A.csv lacks 1 image .'4.jpg'. of B.csv: the files must",
        ),
    ],
)
def test_a_wrong_file_is_one_message_and_nothing_is_written(vote, members, tmp_path, spoil, message):
    spoil()
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    code, out, errors = vote(*members, "--out", "vote.csv", "--diff", "diff")
    assert (code, out) == (2, "")
    with pytest.raises(ValueError, match=f"^segvote: {message}[^\n]*\n$"):
        raise ValueError(errors)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("A.csv B.csv", "Error: Missing option '--out'"),
        ("--out vote.csv", "segvote: a vote needs two files or more"),
        ("A.csv --out vote.csv", "segvote: a vote needs two files or more; three are the fewest that"),
        ("A.csv x.csv --out vote.csv", "segvote: x.csv is not there"),
        ("A.csv . --out vote.csv", r"segvote: \. is not a file"),
        ("A.csv B.csv ./A.csv --out vote.csv", "segvote: A.csv is given twice: name each file once"),
        ("A.csv B.csv --out B.csv --overwrite", "segvote: --out B.csv is one of the files that vote"),
        (
            "A.csv B.csv --out old.csv",
            "segvote: --out old.csv exists already: choose another name, or give --overwrite",
        ),
        ("A.csv B.csv --out full --overwrite", "segvote: --out full is a directory: name a file in it"),
        ("A.csv B.csv --out old.csv/x.csv", "segvote: .*old.csv"),
        ("A.csv B.csv --out vote.csv --scores 0.6", "segvote: --scores has 1 score for 2 files"),
        ("A.csv B.csv --out vote.csv --scores 0.6, 0.5", "segvote: --scores is '0.6,', but must be numbers"),
        ("A.csv B.csv --out vote.csv --scores 0.6 0.5", "segvote: --scores has 1 score for 3 files"),
        ("A.csv B.csv --out vote.csv --scores 1,nan", "segvote: --scores are 1.0, nan, but must be numbers"),
        ("A.csv B.csv --out vote.csv --images .", "segvote: --images is for the pictures of --diff DIR"),
        ("A.csv B.csv --out vote.csv --classes c.json", "segvote: --classes is for the pictures of --diff DIR"),
        ("A.csv B.csv --out vote.csv --diff full", "segvote: --diff full is not empty: choose another directory"),
        ("A.csv B.csv --out vote.csv --diff old.csv", "segvote: --diff old.csv is a file"),
        ("A.csv B.csv --out vote.csv --diff d --images x", "segvote: --images x is no directory"),
        ("A.csv B.csv --out vote.csv --diff d --images full", "segvote: --images full has no photo 'b/1.jpg'"),
        ("A.csv B.csv --out vote.csv --diff d --classes x", "segvote: --classes x cannot be read as JSON"),
        ("A.csv B.csv --out vote.csv --diff d --classes old.csv", "segvote: --classes old.csv cannot be read as JSON"),
        ("A.csv B.csv --out vote.csv --diff d --classes list.json", "segvote: --classes list.json has neither"),
        (
            "A.csv B.csv --out vote.csv --diff d --classes few.json",
            "segvote: [AB].csv: image 'b/1.jpg' has class id 3, but --classes names 2 classes, 0 to 1",
        ),
    ],
)
def test_a_wrong_flag_is_one_message_and_nothing_is_written(vote, members, tmp_path, arguments, message):
    (tmp_path / "old.csv").write_text("old")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "list.json").write_text('[{"id": 1}]')
    (tmp_path / "few.json").write_text('{"class_names": ["a", "b"]}')
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    code, _, errors = vote(*arguments.split())
    assert code == 2
    with pytest.raises(ValueError, match=f"(?m)^{message}"):
        raise ValueError(errors)
    assert "Traceback" not in errors
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("image_id", ["../x.jpg", "/x.jpg", "a/../../x.jpg"])
def test_no_picture_is_written_outside_its_directory(vote, tmp_path, image_id):
    files = [write(f"{seed}.csv", made(seed, (image_id,))) for seed in range(3)]
    code, _, errors = vote(*files, "--out", "vote.csv", "--diff", "diff")
    assert code == 2
    assert f"image_id {image_id!r} is no valid path below a directory" in errors
    assert {path.name for path in tmp_path.iterdir()} == {"0.csv", "1.csv", "2.csv"}


def test_maps_that_make_no_square_cannot_be_drawn(vote, tmp_path):
    files = [write(f"{seed}.csv", made(seed, pixels=10)) for seed in range(3)]
    code, _, errors = vote(*files, "--out", "vote.csv", "--diff", "diff")
    assert code == 2
    assert "image 'b/1.jpg' has 10 class ids, which is no square number, so --diff cannot draw it" in errors
    assert {path.name for path in tmp_path.iterdir()} == {"0.csv", "1.csv", "2.csv"}


def test_overwrite_replaces_the_vote_and_what_it_drew(vote, members, tmp_path):
    (tmp_path / "diff" / "b").mkdir(parents=True)
    (tmp_path / "diff" / "mine.txt").write_text("mine")
    for name in ("b/1.jpg.png", "b/0.jpg.png"):
        (tmp_path / "diff" / name).write_bytes(b"old")
    write("vote.csv", made(9))
    same = {name: {**rows, "b/1.jpg": np.zeros(64, np.uint8)} for name, rows in members.items()}
    for name, rows in same.items():
        write(name, rows)
    assert vote(*members, "--out", "vote.csv", "--diff", "diff", "--overwrite")[0] == 0
    assert_rows("vote.csv", voted(same, list(members)))
    drawn = {str(path.relative_to("diff")) for path in Path("diff").rglob("*") if path.is_file()}
    assert drawn == {"mine.txt", "changes.csv", "b/0.jpg.png", "a,2.jpg.png", "3.jpg.png"}
    assert Image.open("diff/b/0.jpg.png").format == "PNG"


def test_changes_are_counted_as_numpy_counts_them(vote, members):
    code, out, _ = vote(*members, "--scores", "1,2,4,3", "--out", "vote.csv", "--diff", "diff")
    assert code == 0
    best, answer = (np.concatenate([rows[name] for name in IMAGES]) for rows in (members["C.csv"], read("vote.csv")))
    expected = [[int(((best == a) & (answer == b) & (a != b)).sum()) for b in range(4)] for a in range(4)]
    with open("diff/changes.csv", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header[1:] == ["0", "1", "2", "3"]
    assert rows == [[str(a), *map(str, expected[a])] for a in range(4)]
    largest = max((expected[a][b], -a, -b) for a in range(4) for b in range(4))
    pixels, share = largest[0], largest[0] / (best != answer).sum()
    first = next(line for line in out.splitlines() if line.endswith(f"{share:.1%} │"))
    assert [cell.strip() for cell in first.split("│")[1:4]] == [str(-largest[1]), str(-largest[2]), str(pixels)]


def test_a_vote_that_changes_nothing_draws_nothing(vote):
    files = [write(f"{name}.csv", made(0)) for name in "ab"]
    code, out, _ = vote(*files, "--out", "vote.csv", "--diff", "diff")
    assert code == 0
    assert "The vote equals its best member in every pixel." in out
    assert [path.name for path in Path("diff").iterdir()] == ["changes.csv"]


COCO = {"categories": [{"id": 7, "name": "Metal"}, {"id": 2, "name": "Paper"}, {"id": 9, "name": "[red]Glass"}]}
ENSEMBLE = {"class_names": ["Background", "Paper", "Metal", "[red]Glass"], "categories": None}


@pytest.mark.parametrize("content", [COCO, ENSEMBLE])
def test_classes_have_names(vote, members, content):
    Path("classes.json").write_text(json.dumps(content), encoding="utf-8")
    _, out, _ = vote(*members, "--out", "vote.csv", "--diff", "diff", "--classes", "classes.json")
    with open("diff/changes.csv", encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header[1:] == [row[0] for row in rows] == ["Background", "Paper", "Metal", "[red]Glass"]
    assert "│ [red]Glass │ " in out


def test_changed_pixels_are_painted_on_the_photo(vote, tmp_path):
    before, after = np.zeros((2, SIDE, SIDE), np.uint8)
    before[2, 3], after[2, 3] = 1, 0  # to background, which is a change like any other
    before[5, 5], after[5, 5] = 0, 2
    before[7, 7], after[7, 7] = 2, 2
    files = [write(f"{name}.csv", {"b/1.jpg": ids.reshape(-1)}) for name, ids in zip("abc", (before, after, after))]
    (tmp_path / "photos" / "b").mkdir(parents=True)
    Image.new("RGB", (31, 17), (100, 120, 140)).save(tmp_path / "photos" / "b" / "1.jpg", quality=100)
    assert vote(*files, "--out", "vote.csv", "--diff", "diff", "--images", "photos")[0] == 0
    sheet = np.asarray(Image.open("diff/b/1.jpg.png")).astype(int)[:SIDE]
    colours = palette(3, background=False).astype(int)
    for left, class_map in ((0, before), (SIDE + GAP, after)):
        expected = np.full((SIDE, SIDE, 3), (100, 120, 140))
        for place in ((2, 3), (5, 5)):
            expected[place] = 0.4 * expected[place] + 0.6 * colours[class_map[place]]
        assert np.abs(sheet[:, left : left + SIDE] - expected).max() <= 3  # what JPEG does to a colour


def test_without_a_photo_they_are_painted_on_the_class_map_in_grey():
    before = np.array([[0, 1], [2, 2]], np.uint8)
    after = np.array([[0, 1], [2, 0]], np.uint8)
    sheet = np.asarray(picture_of_changes(before, after, ("x", "y", "z"), None))
    left, right = sheet[:2, :2], sheet[:2, 2 + GAP : 4 + GAP]
    np.testing.assert_array_equal(left[0], right[0])
    assert [pixel.tolist() for pixel in (left[0, 0], left[0, 1], left[1, 0])] == [[40] * 3, [125] * 3, [210] * 3]
    colours = palette(3, background=False)
    grey = np.full((1, 1, 3), 210, np.uint8)
    np.testing.assert_array_equal(left[1, 1], overlay(grey, np.array([[2]], np.uint8), colours)[0, 0])
    assert len(set(right[1, 1].tolist())) > 1
    assert sheet.shape[0] == 2 + 3 * LEGEND_HEIGHT  # a caption, and the two classes that changed


def test_a_photo_that_cannot_be_read_is_one_message_and_the_vote_is_there(vote, members, tmp_path):
    for image_id in IMAGES:
        (tmp_path / "photos" / image_id).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / image_id).write_bytes(b"no photo")
    code, _, errors = vote(*members, "--out", "vote.csv", "--diff", "diff", "--images", "photos")
    assert code == 2
    assert "segvote: --images: photos/b/1.jpg is no image of a known kind" in errors
    assert "the vote was written, but not all of its pictures were" in errors
    assert_rows("vote.csv", voted(members, list(members)))


def test_a_photo_that_is_stored_turned_is_drawn_upright(vote, members, tmp_path):
    photo = np.zeros((16, 16, 3), np.uint8)
    photo[:8] = 200  # bright above as stored; orientation 3 is upside down
    exif = Image.Exif()
    exif[0x0112] = 3
    for image_id in IMAGES:
        (tmp_path / "photos" / image_id).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo).save(tmp_path / "photos" / image_id, "JPEG", exif=exif)
    assert vote(*members, "--out", "vote.csv", "--diff", "diff", "--images", "photos")[0] == 0
    sheet = np.asarray(Image.open("diff/b/1.jpg.png")).astype(int)
    assert sheet[: SIDE // 2, :SIDE].mean() < sheet[SIDE // 2 : SIDE, :SIDE].mean()


KILLED = """
import os, signal, sys
from ensembling.predict.submission import SubmissionWriter
from search.cli import main
add = SubmissionWriter.add_ids
def add_and_die(self, image_id, ids):
    add(self, image_id, ids)
    self._file.flush()
    if len(self._written) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
SubmissionWriter.add_ids = add_and_die
main(sys.argv[1:])
"""


def test_a_vote_that_is_killed_leaves_no_file_of_its_name(members, tmp_path):
    command = [sys.executable, "-c", KILLED, "vote", *members, "--out", "vote.csv"]
    root = Path(__file__).resolve().parents[4]
    run = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(root)}, capture_output=True)
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert not (tmp_path / "vote.csv").exists()
    assert list(tmp_path.glob(".vote.csv.*.tmp"))  # it had begun


def test_a_terminal_shows_a_bar(members, monkeypatch):
    from search.commands.vote import command as vote_command
    from search.commands.vote.options import VoteOptions

    shown = []
    monkeypatch.setattr(vote_command, "track", lambda things, what, **how: shown.append((what, how)) or things)
    options = VoteOptions(files=tuple(map(Path, members)), out=Path("vote.csv"), diff=Path("diff"))
    vote_command.run_vote(options, Console(force_terminal=True))
    assert [what for what, _ in shown] == ["Reading", "Voting", "Drawing"]
    assert not any(how["disable"] for _, how in shown)
