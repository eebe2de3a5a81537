"""Submission files: what is written is read again, whatever its names and line ends; mistakes are named by line."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ensembling.predict import submission
from ensembling.predict.submission import SubmissionError, SubmissionFile, SubmissionWriter

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8) | st.text(',"\r\n a', min_size=1)
IDS = hnp.arrays(np.uint8, st.integers(1, 40), elements=st.integers(0, 254))
ROWS = st.dictionaries(NAMES, IDS, min_size=1, max_size=5)
HEADER = "image_id,PredictionString\n"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("submission") / "some.csv"


def add(path, rows):
    with SubmissionWriter(path) as writer:
        for image_id, ids in rows:
            writer.add_ids(image_id, ids)


def write(path, rows):
    add(path, rows.items())


def read(path):
    with SubmissionFile(path) as file:
        return {image_id: file.ids(image_id) for image_id in file.image_ids}


def read_by_csv(path):
    """As Python's own reader has it."""
    with open(path, encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, strict=True)
    assert header == ["image_id", "PredictionString"]
    return {image_id: np.array(text.split(), np.uint8) for image_id, text in rows}


def assert_same_rows(found, rows):
    assert list(found) == list(rows)
    for image_id, ids in rows.items():
        assert found[image_id].dtype == np.uint8
        np.testing.assert_array_equal(found[image_id], ids)


@settings(max_examples=200, deadline=None)
@given(rows=ROWS)
def test_rows_come_back_in_their_order(path, rows):
    write(path, rows)
    assert_same_rows(read(path), rows)
    assert_same_rows(read_by_csv(path), rows)


@settings(max_examples=200, deadline=None)
@given(rows=ROWS, mark=st.booleans(), end=st.sampled_from(["\n", "\r\n"]), all_quoted=st.booleans(), last=st.booleans())
def test_files_of_other_writers_are_read(path, rows, mark, end, all_quoted, last):
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL
    table = csv.writer(text, lineterminator=end, quoting=quoting)
    table.writerows(
        [("image_id", "PredictionString"), *((name, " ".join(map(str, ids))) for name, ids in rows.items())]
    )
    content = text.getvalue() if last else text.getvalue().removesuffix(end)
    # Python's writer leaves a lone carriage return unquoted where lines end otherwise, which no reader can undo.
    if end == "\n" and any("\r" in name for name in rows) and not all_quoted:
        return
    path.write_bytes(content.encode("utf-8-sig" if mark else "utf-8"))
    assert_same_rows(read(path), rows)


def test_rows_are_read_in_any_order_and_again(path):
    rows = {f"{number}.jpg": np.full(number + 1, number, np.uint8) for number in range(20)}
    write(path, rows)
    with SubmissionFile(path) as file:
        assert "3.jpg" in file
        assert "x.jpg" not in file
        for number in np.random.default_rng(0).integers(0, 20, 60):
            np.testing.assert_array_equal(file.ids(f"{number}.jpg"), rows[f"{number}.jpg"])
        with pytest.raises(KeyError):
            file.ids("x.jpg")


def test_bytes_are_those_of_the_competition(path):
    write(path, {"batch_01/0001.jpg": np.array([0, 10, 254, 7], np.uint8), 'a,"b".jpg': np.array([1], np.uint8)})
    assert path.read_bytes() == b'image_id,PredictionString\nbatch_01/0001.jpg,0 10 254 7\n"a,""b"".jpg",1\n'


def test_spaces_more_than_one_and_blank_lines_do_not_matter(path):
    path.write_text(HEADER + "\na.jpg,  1  2\t3 \n\n\r\nb.jpg,007\n\n")
    assert {name: ids.tolist() for name, ids in read(path).items()} == {"a.jpg": [1, 2, 3], "b.jpg": [7]}


@settings(max_examples=60, deadline=None)
@given(height=st.integers(1, 700), width=st.integers(1, 700), seed=st.integers(0, 9))
def test_maps_are_resized_by_the_pixel_at_the_floor(path, height, width, seed):
    class_map = np.random.default_rng(seed).integers(0, 255, (height, width)).astype(np.uint8)
    with SubmissionWriter(path) as writer:
        writer.add("a", class_map)
    rows, columns = (
        np.minimum(np.floor(np.arange(256) * (1 / (256 / size))).astype(int), size - 1) for size in (height, width)
    )
    np.testing.assert_array_equal(read(path)["a"].reshape(256, 256), class_map[np.ix_(rows, columns)])


def test_every_second_pixel_of_512_is_kept(path):
    class_map = np.add.outer(np.arange(512) % 2, np.arange(512) % 2 * 2).astype(np.uint8)
    with SubmissionWriter(path) as writer:
        writer.add("a", class_map)
    assert set(read(path)["a"].tolist()) == {0}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_row_is_longer_than_a_field_of_pythons_reader_may_be(path, end):
    ids = np.full(1 << 18, 254, np.uint8)
    path.write_bytes((HEADER + f'"a,b","{" ".join(map(str, ids))}"{end}').encode())
    assert_same_rows(read(path), {"a,b": ids})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("a.jpg,1 2\n", r"the first line is 'a.jpg,1 2', but must be the header image_id,PredictionString"),
        ("image_id;PredictionString\na;1\n", "the first line is 'image_id;PredictionString', but must be the header"),
        ("PredictionString,image_id\n1,a\n", "but must be the header image_id,PredictionString"),
        ("image_id,PredictionString,x\na,1,2\n", "but must be the header image_id,PredictionString"),
        ("0 " * 5000, "the first line is '0 0 .*…', but must be the header"),
        ("é" * 5000, "the first line is 'éé.*…', but must be the header"),
        (HEADER, "there is no row below the header"),
        (HEADER + "a,1\n\nb,2\na,3\n", "image_id 'a' is in line 2 and again in line 5; remove one"),
        (HEADER + '"x\ny",1\na,2\na,3\n', "image_id 'a' is in line 4 and again in line 5"),
        (HEADER + "a,1\n,2\n", "line 3 has an empty image_id"),
        (HEADER + "a 1 2\n", "line 2 is 'a 1 2', but must be an image_id and a PredictionString with a comma between"),
        (HEADER + "a,1,2\n", "line 2 is 'a,1,2', but must be an image_id and a PredictionString"),
        (HEADER + 'a"b,1\nc,2\n', "line 2 is 'a\"b,1.nc,2', but must be .* quoted as CSV is"),
        (HEADER + 'a,1\n"b,2\nc,3\n', "line 3 is '\"b,2.nc,3', but must be .* quoted as CSV is"),
        (HEADER + "a,1 2\nb,\n", "line 3, image 'b': the PredictionString is empty, but must be whole numbers from 0"),
        (HEADER + 'a,"  "\n', "line 2, image 'a': the PredictionString is empty"),
        (HEADER + "a,1 255 2\n", "line 2, image 'a': class id '255', but must be whole numbers from 0 to 254"),
        (HEADER + "a,1 99999999999999999999999\n", "class id '99999999999999999999999', but must be"),
        (HEADER + "a,1 -1\n", "class id '-1', but must be"),
        (HEADER + "a,1 2.0\n", "class id '2.0', but must be"),
        (HEADER + "a,nan 2\n", "class id 'nan', but must be"),
        (HEADER + "a,1 ٣\n", "class id '٣', but must be"),
        (HEADER + "a,1 2\0\0\n", r"class id '2.x00.x00', but must be"),
        (HEADER + "a,0x1\n", "class id '0x1', but must be"),
    ],
)
def test_what_is_no_submission_is_refused_by_name(path, content, message):
    path.write_bytes(content.encode())
    with pytest.raises(SubmissionError, match=f"(?s)^{path}: .*{message}"):
        read(path)


@pytest.mark.parametrize("content", [b"PK\3\4\xff\xfe\0\0", "image_id,PredictionString\na,1\n".encode("utf-16")])
def test_what_is_no_text_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(SubmissionError, match="this is no text in UTF-8, so no submission CSV"):
        read(path)


def test_a_name_that_is_no_utf8_is_refused(path):
    path.write_bytes(HEADER.encode() + "é.jpg,1\n".encode("latin-1"))
    with pytest.raises(SubmissionError, match=r"image_id '�\.jpg' in line 2 is no UTF-8"):
        read(path)


def test_an_open_quote_does_not_read_the_whole_file(path, monkeypatch):
    monkeypatch.setattr(submission, "LONGEST_ROW", 1000)
    path.write_text(HEADER + '"a,1\n' + "b,2\n" * 100_000)
    with open(path, "rb") as file:
        assert max(len(record) for _, _, record in submission._records(file)) <= 1004
    with pytest.raises(SubmissionError, match="line 2 is '\"a,1"):
        read(path)


def test_a_file_that_changes_while_it_is_read_is_noticed(path):
    path.write_text(HEADER + "a,1\nb,2\n")
    with SubmissionFile(path) as file:
        path.write_text(HEADER + "b,2\na,1\n")
        with pytest.raises(SubmissionError, match="line 2 is no longer that of image 'a'"):
            file.ids("a")


@pytest.mark.parametrize(
    ("image_id", "ids", "message"),
    [
        ("a", np.zeros(2, np.uint8), "image_id 'a' is added twice"),
        ("", np.zeros(2, np.uint8), "image_id '' is empty"),
        ("b", np.zeros(0, np.uint8), r"the ids of image 'b' are uint8 \(0,\); they must be uint8 \(n,\), at least one"),
        ("b", np.zeros(2, np.int64), "the ids of image 'b' are int64"),
        ("b", np.zeros((2, 2), np.uint8), r"the ids of image 'b' are uint8 \(2, 2\)"),
        ("b", np.array([3, 255], np.uint8), "the highest is 255; they must be .* from 0 to 254"),
        ("\udc80.jpg", np.zeros(2, np.uint8), r"image_id '.udc80.jpg' cannot be written in UTF-8"),
    ],
)
def test_a_wrong_row_leaves_nothing(tmp_path, image_id, ids, message):
    rows = [("a", np.zeros(3, np.uint8)), (image_id, ids)]
    with pytest.raises(SubmissionError, match=message):
        add(tmp_path / "x.csv", rows)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [np.zeros((0, 4), np.uint8), np.zeros(4, np.uint8), np.zeros((2, 2), np.int64)])
def test_a_wrong_class_map_is_refused(tmp_path, wrong):
    with (
        pytest.raises(SubmissionError, match=r"the class map of image 'a' is .* but must be uint8"),
        SubmissionWriter(tmp_path / "x.csv") as writer,
    ):
        writer.add("a", wrong)


def failing(error):
    yield "a", np.zeros(3, np.uint8)
    raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_old_file(tmp_path, error):
    old = tmp_path / "x.csv"
    old.write_text("old")
    with pytest.raises(error):
        add(old, failing(error))
    assert old.read_text() == "old"
    assert list(tmp_path.iterdir()) == [old]


def test_the_name_appears_at_the_end_and_directories_are_made(tmp_path):
    path = tmp_path / "new" / "x.csv"
    with SubmissionWriter(path) as writer:
        writer.add_ids("a", np.zeros(3, np.uint8))
        assert not path.exists()
    assert list(path.parent.iterdir()) == [path]
