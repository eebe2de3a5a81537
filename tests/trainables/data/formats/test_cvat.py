"""CVAT's XML against NumPy for masks and pycocotools for polygons."""

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.trainables.data.formats.reading import NOTHING, category_maps, import_from, names, photo
from trainables.errors import UserError

WIDTH, HEIGHT = 30, 20
HEAD = "<meta><task><labels><label><name>Paper</name></label><label><name>Glass</name></label></labels></task></meta>"


def export(root, *shapes, head=HEAD, attributes='subset="train"'):
    photo(root / "images/a.png", WIDTH, HEIGHT)
    image = f'<image id="3" name="a.png" width="{WIDTH}" height="{HEIGHT}" {attributes}>{"".join(shapes)}</image>'
    (root / "annotations.xml").write_text(f"<annotations><version>1.1</version>{head}{image}</annotations>")
    return root


def mask(pixels, left, top, label="Paper", order=0):
    """A mask whose runs are counted here, pixel by pixel, row by row."""
    runs, last = [0], 0
    for value in pixels.ravel().astype(int):
        if value != last:
            runs.append(0)
            last = value
        runs[-1] += 1
    rows, columns = pixels.shape
    rle = ", ".join(map(str, runs))
    place = f'left="{left}" top="{top}" width="{columns}" height="{rows}"'
    return f'<mask label="{label}" rle="{rle}" {place} z_order="{order}"/>'


def polygon(points, label="Paper", order=0):
    text = ";".join(f"{x:.2f},{y:.2f}" for x, y in points)
    return f'<polygon label="{label}" points="{text}" z_order="{order}"/>'


def blob(rows, columns, seed=0):
    return np.random.default_rng(seed).random((rows, columns)) < 0.6


def test_masks_count_row_by_row_in_their_box(tmp_path):
    pixels = blob(7, 11)
    _, dataset = import_from("cvat", export(tmp_path / "x", mask(pixels, 5, 3)))
    expected = np.full((HEIGHT, WIDTH), NOTHING)
    expected[3:10, 5:16][pixels] = 1
    assert (category_maps(dataset)["a.png"] == expected).all()
    assert names(dataset) == {1: "Paper", 2: "Glass"}


def test_the_higher_z_order_is_on_top_even_if_it_is_larger(tmp_path):
    large, small = [(2, 2), (28, 2), (28, 18), (2, 18)], [(8, 6), (14, 6), (14, 12), (8, 12)]
    source = export(tmp_path / "x", polygon(large, "Glass", 1), polygon(small, "Paper", 0))
    report, dataset = import_from("cvat", source)
    expected = coco_mask.decode(coco_mask.frPyObjects([[v for p in large for v in p]], HEIGHT, WIDTH))[..., 0]
    assert (category_maps(dataset)["a.png"] == np.where(expected, 2, NOTHING)).all()
    assert "wholly hidden" in report.problems[0].what


def test_a_small_polygon_on_top_stays_a_polygon(tmp_path):
    large, small = [(2, 2), (28, 2), (28, 18), (2, 18)], [(8, 6), (14, 6), (14, 12), (8, 12)]
    _, dataset = import_from("cvat", export(tmp_path / "x", polygon(large), polygon(small, "Glass", 1)))
    ids = category_maps(dataset)["a.png"]
    whole, hole = (
        coco_mask.decode(coco_mask.frPyObjects([[v for p in points for v in p]], HEIGHT, WIDTH))[..., 0] == 1
        for points in (large, small)
    )
    assert (ids == np.select([hole, whole], [2, 1], NOTHING)).all()


def test_boxes_are_skipped_and_tags_are_no_shapes(tmp_path):
    box = '<box label="Paper" xtl="1" ytl="1" xbr="4" ybr="4"/>'
    report, _ = import_from("cvat", export(tmp_path / "x", box, '<tag label="Paper"/>', mask(blob(4, 4), 0, 0)))
    assert [(p.file, p.id) for p in report.problems] == [("annotations.xml, image 3", "box 1")]


def test_ellipses_are_filled_and_turned_around_their_centre(tmp_path):
    shape = '<ellipse label="Paper" cx="15" cy="10" rx="8" ry="3" rotation="30"/>'
    _, dataset = import_from("cvat", export(tmp_path / "x", shape))
    drawn = cv2.ellipse(np.zeros((HEIGHT, WIDTH), np.uint8), (15, 10), (8, 3), 30, 0, 360, 1, cv2.FILLED) == 1
    ids = category_maps(dataset)["a.png"] == 1
    assert (ids & drawn).sum() > 0.8 * (ids | drawn).sum()


@pytest.mark.parametrize(("left", "top"), [(WIDTH - 3, HEIGHT - 2), (-2, -1), (-2, HEIGHT - 4)])
def test_masks_are_cut_at_the_edges_of_the_photo(tmp_path, left, top):
    pixels = np.ones((7, 5), bool)
    _, dataset = import_from("cvat", export(tmp_path / "x", mask(pixels, left, top)))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    expected = (rows >= top) & (rows < top + 7) & (columns >= left) & (columns < left + 5)
    assert (category_maps(dataset)["a.png"] == np.where(expected, 1, NOTHING)).all()


def test_whole_numbers_with_a_point_and_labels_with_blanks_are_read(tmp_path):
    shape = mask(np.ones((4, 4), bool), 2, 3, order="1.0").replace('="2"', '="2.0"').replace("Paper", " Paper ")
    _, dataset = import_from("cvat", export(tmp_path / "x", shape))
    assert (category_maps(dataset)["a.png"][3:7, 2:6] == 1).all()


def test_a_broken_shape_is_skipped_and_the_others_stay(tmp_path):
    broken = '<mask label="Paper" rle="3, 2" left="0" top="0" width="2" height="2"/>'
    points = '<polygon label="Glass" points=""/>'
    report, dataset = import_from("cvat", export(tmp_path / "x", broken, points, polygon([(1, 1), (9, 1), (5, 5)])))
    assert [(p.file, p.id) for p in report.problems] == [
        ("annotations.xml, image 3", "mask 1"),
        ("annotations.xml, image 3", "polygon 2"),
    ]
    assert len(dataset.images[0].annotations) == 1


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (polygon([(1, 1), (5, 1), (5, 5)], "Metal"), "image 3, polygon 1: its label 'Metal' is not among"),
        ('<mask label="Paper" rle="3, 2" left="0" top="0" width="2" height="2"/>', "runs cover 5 pixels, but its box"),
        (
            '<mask label="Paper" rle="0,99999999999" left="0" top="0" width="99999999999" height="1"/>',
            "mask 1: .*its box of 99999999999x1 pixels is far larger than the 30x20 image",
        ),
        (mask(blob(4, 4), WIDTH, 0), r"mask 1: .*its box lies wholly outside the 30x20 image"),
        ('<polygon label="Paper" points="1,1;b"/>', "image 3, polygon 1: cannot be read"),
        (polygon([(1, 1), (5, 1), (5, 5)], order="top"), "image 3: name, width, height or a z_order is missing or no"),
    ],
)
def test_faults_name_file_image_and_shape(tmp_path, shape, message):
    with pytest.raises(UserError, match=message):
        import_from("cvat", export(tmp_path / "x", shape))


@pytest.mark.parametrize(
    ("subset", "split", "notes"),
    [("Validation", "val", 0), ("default", "train", 0), ("", "train", 0), ("holdout", "train", 1)],
)
def test_a_subset_that_says_no_split_is_told(tmp_path, subset, split, notes):
    train = f'<image id="4" name="b.png" width="{WIDTH}" height="{HEIGHT}">{polygon([(1, 1), (9, 1), (5, 5)])}</image>'
    source = export(
        tmp_path / "x", polygon([(1, 1), (9, 1), (5, 5)]), head=HEAD + train, attributes=f'subset="{subset}"'
    )
    photo(source / "images/b.png", WIDTH, HEIGHT)
    report, _ = import_from("cvat", source)
    assert report.photos[split] >= 1
    assert len(report.notes) == notes
    assert all("subsets 'holdout' (1) are taken for training" in note for note in report.notes)


def test_an_encoding_that_does_not_exist_is_told(tmp_path):
    source = export(tmp_path / "x", polygon([[1, 1], [20, 1], [20, 15]]))
    file = source / "annotations.xml"
    text = file.read_text().removeprefix('<?xml version="1.0" encoding="utf-8"?>')
    file.write_text('<?xml version="1.0" encoding="utf8-sig-x"?>' + text.lstrip())
    with pytest.raises(UserError, match=r"annotations\.xml: is no XML \(unknown encoding"):
        import_from("cvat", source)


def test_tracks_of_a_video_are_refused(tmp_path):
    export(tmp_path / "x", head="<track/>")
    with pytest.raises(UserError, match=r"tracks of a video; export from CVAT as 'CVAT for images 1\.1'"):
        import_from("cvat", tmp_path / "x")
