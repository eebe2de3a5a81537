"""The submission file: what is written comes back, and what is no submission is refused by file and row."""

import albumentations
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensembling.submission import SIDE, SubmissionError, SubmissionFile, SubmissionWriter, resize_map


def write(path, rows):
    with SubmissionWriter(path) as writer:
        for image_id, ids in rows:
            writer.add_ids(image_id, np.array(ids, np.uint8))
    return path


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=20),
            st.lists(st.integers(0, 254), min_size=1, max_size=40),
        ),
        unique_by=lambda row: row[0],
        max_size=5,
    )
)
def test_what_is_written_comes_back(tmp_path_factory, rows):
    file = SubmissionFile(write(tmp_path_factory.mktemp("csv") / "a.csv", rows))
    assert [(image_id, ids.tolist()) for image_id, ids in file] == rows


def test_it_is_the_csv_that_is_asked_for(tmp_path):
    path = write(tmp_path / "a.csv", [("batch/1.jpg", [0, 10, 3]), ("b,2.jpg", [7])])
    assert path.read_text() == 'image_id,PredictionString\nbatch/1.jpg,0 10 3\n"b,2.jpg",7\n'


@pytest.mark.parametrize("size", [(512, 512), (375, 500), (100, 31), (256, 256)])
def test_class_maps_are_resized_as_albumentations_resizes_masks(tmp_path, size):
    class_map = np.random.default_rng(0).integers(0, 11, size, dtype=np.uint8)
    blank = np.zeros((*size, 3), np.uint8)
    expected = albumentations.Compose([albumentations.Resize(SIDE, SIDE)])(image=blank, mask=class_map)["mask"]
    assert np.array_equal(resize_map(class_map), expected)
    with SubmissionWriter(tmp_path / "a.csv") as writer:
        writer.add("1.jpg", class_map)
    assert np.array_equal(SubmissionFile(tmp_path / "a.csv").ids("1.jpg"), expected.reshape(-1))


def test_other_programs_line_ends_and_marks_are_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbfimage_id,PredictionString\r\n1.jpg,0 1\r\n2.jpg,2 2\r\n\r\n")
    assert [(image_id, ids.tolist()) for image_id, ids in SubmissionFile(path)] == [
        ("1.jpg", [0, 1]),
        ("2.jpg", [2, 2]),
    ]


def test_a_block_that_fails_leaves_nothing(tmp_path):
    def breaks_off():
        with SubmissionWriter(tmp_path / "a.csv") as writer:
            writer.add_ids("1.jpg", np.zeros(4, np.uint8))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        breaks_off()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not begin with|is no CSV"),
        ("id,mask\n1.jpg,0\n", "does not begin with image_id,PredictionString"),
        ("image_id,PredictionString\n1.jpg,0\n1.jpg,0\n", "line 3: image 1.jpg is there twice"),
        ("image_id,PredictionString\n1.jpg\n", "line 2: has 1 cells"),
        ("image_id,PredictionString\n1.jpg,\n", "image 1.jpg: its PredictionString is no list"),
        ("image_id,PredictionString\n1.jpg, \n", "image 1.jpg"),
        ("image_id,PredictionString\n1.jpg,0 x\n", "image 1.jpg: its PredictionString is no list"),
        ("image_id,PredictionString\n1.jpg,0 -1\n", "image 1.jpg: its PredictionString is no list"),
        ("image_id,PredictionString\n1.jpg,0 255\n", "image 1.jpg: class ids must be from 0 to 254"),
        ("image_id,PredictionString\n1.jpg,99999999999999999999\n", "image 1.jpg: class ids must be"),
    ],
)
def test_what_is_no_submission_is_refused(tmp_path, text, said):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(SubmissionError, match=rf"a\.csv.*({said})"):
        list(SubmissionFile(tmp_path / "a.csv"))


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"image_id,PredictionString\n\xff\xfe\x00,0\n")
    with pytest.raises(SubmissionError, match="line 2: is no CSV"):
        SubmissionFile(tmp_path / "a.csv")
