"""labelme's files against pycocotools for polygons and Pillow for masks."""

import base64
import io
import json
import math

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from tests.trainables.data.formats.reading import NOTHING, category_maps, import_from, names, photo
from trainables.errors import UserError

WIDTH, HEIGHT = 30, 20


def shape(points, label="Paper", kind="polygon", **more):
    return {"label": label, "points": points, "shape_type": kind, **more}


def save(root, *shapes, name="a", **more):
    photo(root / f"{name}.jpg", WIDTH, HEIGHT)
    content = {"imagePath": f"{name}.jpg", "imageData": None, "imageHeight": HEIGHT, "imageWidth": WIDTH}
    (root / f"{name}.json").write_text(json.dumps({**content, "shapes": list(shapes), **more}))
    return root


def painted(points):
    return coco_mask.decode(coco_mask.frPyObjects([[float(v) for p in points for v in p]], HEIGHT, WIDTH))[..., 0] == 1


SMALL, LARGE = [[8, 6], [14, 6], [14, 12]], [[2, 2], [28, 3], [27, 18], [1, 17]]


def test_later_shapes_hide_earlier_ones(tmp_path):
    _, dataset = import_from("labelme", save(tmp_path / "lm", shape(SMALL, "Glass"), shape(LARGE)))
    assert (category_maps(dataset)["a.jpg"] == np.where(painted(LARGE), 2, NOTHING)).all()
    assert names(dataset) == {1: "Glass", 2: "Paper"}


def test_masks_fill_their_box_with_a_png(tmp_path):
    pixels = np.random.default_rng(0).random((5, 9)) < 0.5
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    one = shape([[4, 3], [12, 7]], kind="mask", mask=base64.b64encode(stream.getvalue()).decode())
    _, dataset = import_from("labelme", save(tmp_path / "lm", one))
    expected = np.full((HEIGHT, WIDTH), NOTHING)
    expected[3:8, 4:13][pixels] = 1
    assert (category_maps(dataset)["a.jpg"] == expected).all()


def test_rectangles_are_filled_and_lines_are_skipped(tmp_path):
    source = save(tmp_path / "lm", shape([[3, 4], [10, 12]], kind="rectangle"), shape([[1, 1], [5, 5]], kind="line"))
    report, dataset = import_from("labelme", source)
    expected = painted([[3, 4], [10, 4], [10, 12], [3, 12]])
    assert (category_maps(dataset)["a.jpg"] == np.where(expected, 1, NOTHING)).all()
    assert [(p.file, p.id) for p in report.problems] == [("a.json", "shape 2")]


def test_circles_are_filled_and_rectangles_may_be_turned(tmp_path):
    turned = [[20, 2], [26, 6], [22, 12], [16, 8]]
    source = save(tmp_path / "lm", shape([[8, 10], [11, 14]], kind="circle"), shape(turned, "Glass", "rotation"))
    _, dataset = import_from("labelme", source)
    ids = category_maps(dataset)["a.jpg"]
    assert ((ids == 1) == painted(turned)).all()
    rows, columns = np.indices((HEIGHT, WIDTH))
    distance = np.hypot(columns - 8, rows - 10)
    assert (ids[distance < 4] == 2).all()
    assert (ids[distance > 6] != 2).all()


@pytest.mark.parametrize("name", ["_background_", "Background"])
def test_background_makes_holes_in_what_is_below_it(tmp_path, name):
    hole = shape([[4, 4], [8, 4], [8, 8], [4, 8]], name)
    report, dataset = import_from("labelme", save(tmp_path / "lm", shape(LARGE, "Glass"), hole))
    glass = painted(LARGE) & ~painted([[4, 4], [8, 4], [8, 8], [4, 8]])
    assert list(names(dataset).values()) == ["Glass"]
    assert ((category_maps(dataset)["a.jpg"] != NOTHING) == glass).all()
    assert report.notes == (
        "the shapes of the background (1) made holes in what is below them, and are no annotations",
    )


def test_ignored_shapes_are_told(tmp_path):
    report, _ = import_from("labelme", save(tmp_path / "lm", shape(LARGE, "Glass"), shape(SMALL, "__ignore__")))
    assert [(p.file, p.id, p.what) for p in report.problems] == [("a.json", "shape 2", "is labelled __ignore__")]


def test_the_list_of_labels_orders_the_classes(tmp_path):
    source = save(tmp_path / "lm", shape(LARGE, "Glass"), shape(SMALL, "__ignore__"))
    (source / "labels.txt").write_text("__ignore__\n_background_\nPaper\nGlass\n")
    _, dataset = import_from("labelme", source)
    assert names(dataset) == {1: "Paper", 2: "Glass"}
    assert (category_maps(dataset)["a.jpg"] == np.where(painted(LARGE), 2, NOTHING)).all()


def test_the_photo_may_be_in_the_file(tmp_path):
    source = save(tmp_path / "lm", shape(LARGE))
    data = (source / "a.jpg").read_bytes()
    save(source, shape(LARGE), imageData=base64.b64encode(data).decode())
    (source / "a.jpg").unlink()
    _, dataset = import_from("labelme", source)
    assert dataset.images[0].path.parts[-3:] == ("images", "train", "a.jpg")


def test_the_photo_tells_its_size_where_the_file_does_not(tmp_path):
    source = save(tmp_path / "lm", shape(LARGE), imageHeight=None, imageWidth=None)
    assert import_from("labelme", source)[1].images[0].height == HEIGHT
    (source / "a.jpg").write_bytes(b"no photo")
    with pytest.raises(UserError, match=r"a\.json: imageHeight and imageWidth are missing, and its photo is no image"):
        import_from("labelme", source.rename(tmp_path / "other"))


@pytest.mark.parametrize("height", [HEIGHT + 1, 10**30])
def test_a_photo_in_the_file_must_have_the_size_that_the_file_states(tmp_path, height):
    stream = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT)).save(stream, "PNG")
    data = base64.b64encode(stream.getvalue()).decode()
    source = save(tmp_path / "lm", shape(LARGE), imageData=data, imageHeight=height)
    (source / "a.jpg").unlink()
    with pytest.raises(UserError, match=rf"a\.json: is for 30x{height} pixels, but its photo a\.jpg has 30x20"):
        import_from("labelme", source)


@pytest.mark.parametrize("edge", [math.inf, 1e308])
def test_a_circle_without_a_finite_radius_is_skipped(tmp_path, recwarn, edge):
    source = save(tmp_path / "lm", shape([[5, 5], [edge, 5]], kind="circle"), shape(LARGE))
    assert "no readable circle" in import_from("labelme", source)[0].problems[0].what
    assert not recwarn


def test_points_of_three_numbers_make_no_circle(tmp_path):
    source = save(tmp_path / "lm", shape(LARGE), shape([[8, 10, 1], [11, 14, 1]], kind="circle"))
    assert [problem.id for problem in import_from("labelme", source)[0].problems] == ["shape 2"]


def test_a_photo_of_a_moved_folder_is_found_beside_its_file(tmp_path):
    for path in ("C:\\data\\a.jpg", "/home/me/a.jpg", "../images/a.jpg"):
        source = save(tmp_path / f"lm{len(path)}", shape(LARGE), imagePath=path)
        _, dataset = import_from("labelme", source)
        assert (category_maps(dataset)["a.jpg"] == np.where(painted(LARGE), 1, NOTHING)).all()


def test_broken_shapes_are_skipped_and_the_others_stay(tmp_path):
    shapes = [
        shape([[1, 2, 3], [4, 5, 6], [7, 8, 9]]),
        shape(SMALL, None),
        shape(SMALL, " "),
        shape([[1, 1], [4, 4]], kind="mask", mask="AAAA"),
        shape(LARGE, "Paper "),
        shape([[3, 4], [10, 4], [10, 12], [3, 12]], "Glass", kind="rectangle"),
        shape(SMALL, "Glass", kind=None),
    ]
    report, dataset = import_from("labelme", save(tmp_path / "lm", *shapes))
    assert [one.id for one in report.problems] == ["shape 1", "shape 2", "shape 3", "shape 4"]
    assert names(dataset) == {1: "Glass", 2: "Paper"}
    assert len(dataset.images[0].annotations) == 3


@pytest.mark.parametrize(
    ("shapes", "more", "message"),
    [
        ([shape(LARGE, "Metal")], {}, "a.json, shape 1: its label 'Metal' is not in the list of classes"),
        ([shape([[1], [2]])], {}, "a.json, shape 1: is no readable polygon"),
        ([shape([[1, 1], [4, 4]], kind="mask", mask="AAAA")], {}, "a.json, shape 1: is no readable mask"),
        ([], {"imageHeight": None}, "a.json: imageHeight or imageWidth is missing"),
        ([], {"imagePath": "gone.jpg"}, "a.json: its photo .*gone.jpg is not there"),
        ([], {"imagePath": 300 * "x" + ".jpg"}, "a.json: its photo .*xx.jpg is not there"),
    ],
)
def test_faults_name_file_and_shape(tmp_path, shapes, more, message):
    source = save(tmp_path / "lm", *shapes, **more)
    (source / "labels.txt").write_text("Paper\n")
    with pytest.raises(UserError, match=message):
        import_from("labelme", source)


@pytest.mark.parametrize("folders", [("train", "val"), ("Train", "VALID"), ("train2017", "Val_2017")])
def test_folders_say_the_split(tmp_path, folders):
    for folder in folders:
        save(tmp_path / "lm" / folder, shape(LARGE), name=folder)
    report, _ = import_from("labelme", tmp_path / "lm")
    assert dict(report.photos) == {"train": 1, "val": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shapes": [shape(LARGE), 0]}, r"a.json is damaged \(shapes.1: Input should be a valid dictionary"),
        ({"shapes": [shape([[1, "x"]])]}, r"a.json is damaged \(shapes.0.points.0.1: Input should be a valid number"),
        ({"shapes": [shape(LARGE, kind=[])]}, r"a.json is damaged \(shapes.0.shape_type"),
        ({"imagePath": None}, r"a.json is damaged \(imagePath: Input should be a valid string\): export it again"),
        ({"imageHeight": float("inf")}, "imageHeight or imageWidth is missing or no number"),
        ({"shapes": [shape([[1, 1], [float("inf"), 2]], kind="mask", mask="")]}, "is no readable mask"),
    ],
)
def test_a_damaged_file_is_named_with_the_place(tmp_path, change, message):
    source = save(tmp_path / "lm", shape(LARGE))
    content = json.loads((source / "a.json").read_text())
    (source / "a.json").write_text(json.dumps(content | change))
    with pytest.raises(UserError, match=message):
        import_from("labelme", source)
