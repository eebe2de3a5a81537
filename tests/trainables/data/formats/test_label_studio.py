"""Label Studio's export against a packer of brush strokes that is written here, and pycocotools for polygons."""

import json

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.trainables.data.formats.reading import NOTHING, category_maps, import_from, names, photo
from trainables.data.formats.label_studio import decode_brush
from trainables.errors import UserError

WIDTH, HEIGHT = 30, 20
SQUARE = [[10, 10], [60, 10], [60, 60], [10, 60]]


def pack(values, sizes=(3, 4, 8, 16)):
    """Pack uint8 values as a brush stroke: runs of equal values, and stretches of unequal ones."""
    values = [int(value) for value in values]
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
    place = 0
    while place < len(values):
        end = place + 1
        while end < len(values) and values[end] == values[place] and end - place < 60000:
            end += 1
        same = end - place > 1
        if not same:
            while end < len(values) and values[end] != values[end - 1] and end - place < 200:
                end += 1
        length = end - place - 1
        which = next(number for number, size in enumerate(sizes) if length < 1 << size)
        bits += f"{int(same)}{which:02b}{length:0{sizes[which]}b}"
        bits += f"{values[place]:08b}" if same else "".join(f"{value:08b}" for value in values[place:end])
        place = end
    bits += "0" * (-len(bits) % 8)
    return [int(bits[start : start + 8], 2) for start in range(0, len(bits), 8)]


def brush(pixels, label, identifier="r1", **more):
    rgba = np.zeros((*pixels.shape, 4), np.uint8)
    rgba[..., 3] = np.where(pixels, 255, 0)
    return region("brush", {"format": "rle", "rle": pack(rgba.ravel()), "brushlabels": [label]}, identifier, **more)


def polygon(points, label, identifier="r2"):
    return region("polygon", {"points": points, "polygonlabels": [label]}, identifier)


def region(kind, value, identifier, **more):
    size = {"original_width": WIDTH, "original_height": HEIGHT}
    return {"id": identifier, "type": f"{kind}labels", "value": value, **size, **more}


def export(root, *results, image="/data/upload/1/0a1b2c3d-a.png", **annotation):
    root.mkdir(exist_ok=True)
    photo(root / "photos/a.png", WIDTH, HEIGHT)
    task = {"id": 7, "data": {"image": image}, "annotations": [{"result": list(results), **annotation}]}
    (root / "export.json").write_text(json.dumps([task]))
    return root


def blob(seed=1, share=0.3):
    return np.random.default_rng(seed).random((HEIGHT, WIDTH)) < share


@pytest.mark.parametrize("length", [1, 2, 9, 300, 70000])
def test_strokes_unpack_to_what_was_packed(length):
    rng = np.random.default_rng(length)
    values = np.repeat(rng.integers(0, 256, length), rng.integers(1, 4, length))[:length].astype(np.uint8)
    assert (decode_brush(bytes(pack(values))) == values).all()


def test_brush_strokes_are_their_pixels(tmp_path):
    ring = np.zeros((HEIGHT, WIDTH), bool)
    ring[3:15, 4:20], ring[6:10, 8:12] = True, False
    _, dataset = import_from("label-studio", export(tmp_path / "ls", brush(ring, "Paper")))
    assert names(dataset) == {1: "Paper"}
    assert (category_maps(dataset)["a.png"] == np.where(ring, 1, NOTHING)).all()


def test_later_regions_are_on_top(tmp_path):
    first, second = blob(1, 0.4), blob(2, 0.6)
    source = export(tmp_path / "ls", brush(first, "Paper"), brush(second, "Glass", "r2"))
    _, dataset = import_from("label-studio", source)
    expected = np.full((HEIGHT, WIDTH), NOTHING)
    expected[first], expected[second] = 2, 1
    assert (category_maps(dataset)["a.png"] == expected).all()


def test_polygons_are_percentages(tmp_path):
    points = [[10, 10], [90, 20], [50, 95]]
    _, dataset = import_from("label-studio", export(tmp_path / "ls", polygon(points, "Paper")))
    pixels = [share / 100 * length for point in points for share, length in zip(point, (WIDTH, HEIGHT))]
    expected = coco_mask.decode(coco_mask.frPyObjects([pixels], HEIGHT, WIDTH))[..., 0]
    assert (category_maps(dataset)["a.png"] == np.where(expected, 1, NOTHING)).all()


def test_ellipses_are_filled_and_turned_around_their_centre(tmp_path):
    value = {"x": 50, "y": 50, "radiusX": 30, "radiusY": 15, "rotation": 30, "ellipselabels": ["Paper"]}
    _, dataset = import_from("label-studio", export(tmp_path / "ls", region("ellipse", value, "r3")))
    drawn = cv2.ellipse(np.zeros((HEIGHT, WIDTH), np.uint8), (15, 10), (9, 3), 30, 0, 360, 1, cv2.FILLED) == 1
    ids = category_maps(dataset)["a.png"] == 1
    assert (ids & drawn).sum() > 0.8 * (ids | drawn).sum()


def test_a_label_may_stand_in_another_entry_of_the_same_id(tmp_path):
    stroke = brush(blob(), "x")
    del stroke["value"]["brushlabels"]
    labels = {"id": "r1", "type": "labels", "value": {"labels": ["Glass"]}}
    _, dataset = import_from("label-studio", export(tmp_path / "ls", stroke, labels))
    assert names(dataset) == {1: "Glass"}


@pytest.mark.parametrize("kind", ["choices", "labels"])
def test_what_is_said_of_a_region_in_further_entries_makes_no_second_one(tmp_path, kind):
    drawn = polygon(SQUARE, "Paper")
    further = {**drawn, "type": kind, "value": {"points": SQUARE, kind: ["Paper"]}}
    if kind == "labels":
        del drawn["value"]["polygonlabels"]
    report, dataset = import_from("label-studio", export(tmp_path / "ls", drawn, further))
    assert names(dataset) == {1: "Paper"}
    assert not report.problems


def test_regions_of_the_same_id_in_other_places_are_all_taken(tmp_path):
    other = polygon([[70, 70], [90, 70], [90, 90]], "Paper")
    _, dataset = import_from("label-studio", export(tmp_path / "ls", polygon(SQUARE, "Paper"), other))
    assert sum(len(image.annotations) for image in dataset.images) == 2


@pytest.mark.parametrize(
    ("value", "more", "what"),
    [
        ({"points": SQUARE, "polygonlabels": ["Paper", "Glass"]}, {}, "has the labels 'Paper', 'Glass'"),
        ({"points": SQUARE, "polygonlabels": ["Paper"]}, {"image_rotation": 90}, "turned by 90 degrees"),
        (
            {"vertices": [{"x": 1, "y": 2}], "polygonlabels": ["Paper"]},
            {},
            "neither a polygon, an ellipse nor a brush stroke",
        ),
        (
            {"imageDataURL": "data:image/png;base64,", "polygonlabels": ["Paper"]},
            {},
            "neither a polygon, an ellipse nor",
        ),
        ({"x": 1, "y": None, "radiusX": 5, "radiusY": 5, "labels": ["Paper"]}, {}, "its value is no region of a 30x20"),
        ({"x": 1, "radiusX": 5, "radiusY": 5, "ellipselabels": ["Paper"]}, {}, "its value is no region of a 30x20"),
        ({"x": 10**400, "y": 1, "radiusX": 5, "radiusY": 5, "ellipselabels": ["Paper"]}, {}, "its value is no region"),
    ],
)
def test_a_region_of_which_no_mask_of_one_class_is_known_is_skipped_and_said(tmp_path, value, more, what):
    source = export(tmp_path / "ls", region("polygon", value, "r4", **more), brush(blob(), "Paper"))
    report, dataset = import_from("label-studio", source)
    assert [problem.id for problem in report.problems] == ["region r4"]
    assert what in report.problems[0].what
    assert sum(len(image.annotations) for image in dataset.images) == 1


def test_tasks_with_predictions_only_are_said_to_be_so(tmp_path):
    source = export(tmp_path / "ls", polygon(SQUARE, "Paper"), was_cancelled=True)
    with pytest.raises(UserError, match="none of its tasks has an annotation"):
        import_from("label-studio", source)


def test_what_is_no_mask_is_skipped_and_said(tmp_path):
    box = region("rectangle", {"x": 1, "y": 1, "width": 5, "height": 5, "rectanglelabels": ["Glass"]}, "r9")
    unnamed = brush(blob(), "x", "r8")
    del unnamed["value"]["brushlabels"]
    empty = brush(np.zeros((HEIGHT, WIDTH), bool), "Paper", "r7")
    report, _ = import_from("label-studio", export(tmp_path / "ls", box, unnamed, empty, brush(blob(), "Paper")))
    assert [(p.file, p.id) for p in report.problems] == [
        ("export.json, task 7", "region r9"),
        ("export.json, task 7", "region r8"),
        ("export.json, task 7", "region r7"),
    ]


def test_a_broken_stroke_is_skipped_and_the_others_stay(tmp_path):
    broken = brush(blob(), "Paper", "r5")
    broken["value"]["rle"] = broken["value"]["rle"][:20]
    source = export(tmp_path / "ls", broken, brush(blob(), "Paper "), polygon([[10, 10], [90, 20], [50, 95]], "Paper"))
    report, dataset = import_from("label-studio", source)
    assert [one.id for one in report.problems] == ["region r5"]
    assert names(dataset) == {1: "Paper"}
    assert len(dataset.images[0].annotations) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one["value"]["rle"].pop(), "task 7, region r1: its rle is no brush stroke"),
        (lambda one: one["value"].update(rle=[0] * 3), "region r1: its rle is no brush stroke .*ends early"),
        (lambda one: one["value"].update(rle=pack(np.zeros(40))), "region r1: its rle is no brush stroke of a 30x20"),
        (lambda one: one.update(original_width=None), "task 7: original_height and original_width"),
    ],
)
def test_faults_name_file_task_and_region(tmp_path, change, message):
    stroke = brush(blob(), "Paper")
    change(stroke)
    with pytest.raises(UserError, match=message):
        import_from("label-studio", export(tmp_path / "ls", stroke))


@pytest.mark.parametrize(
    "image", ["/data/local-files/?d=photos/a.png", "s3://bucket/photos/a.png", "https://x.org/photos/a.png?v=1"]
)
def test_photos_are_found_by_paths_and_addresses(tmp_path, image):
    _, dataset = import_from("label-studio", export(tmp_path / "ls", brush(blob(), "Paper"), image=image))
    assert [one.path.name for one in dataset.images] == ["a.png"]


@pytest.mark.parametrize(
    "data",
    [{"image": "", "text": "v1.2", "picture": "/data/a.png"}, {"text": "Hello. World", "url": "x/0a1b2c3d-a.png"}],
)
def test_the_photo_is_the_text_that_names_one(tmp_path, data):
    source = export(tmp_path / "ls", brush(blob(), "Paper"))
    tasks = json.loads((source / "export.json").read_text())
    tasks[0]["data"] = data
    (source / "export.json").write_text(json.dumps(tasks))
    assert [one.path.name for one in import_from("label-studio", source)[1].images] == ["a.png"]


@pytest.mark.parametrize(
    ("data", "more", "message"),
    [
        ({"pages": ["/data/a.png", "/data/b.png"]}, {}, "task 7: its data name no photo, such as .*: pages"),
        ({"image": "/data/a.png"}, {"to_name": "image2"}, r"of several images \(image, image2\); export tasks of one"),
        ({"image": "/data/a.png"}, {"item_index": 1}, r"of several images \(image, item 1\)"),
    ],
)
def test_tasks_of_several_images_are_refused(tmp_path, data, more, message):
    regions = [brush(blob(), "Paper", to_name="image"), brush(blob(), "Paper", "r2", **{"to_name": "image", **more})]
    source = export(tmp_path / "ls", *regions)
    tasks = json.loads((source / "export.json").read_text())
    tasks[0]["data"] = data
    (source / "export.json").write_text(json.dumps(tasks))
    with pytest.raises(UserError, match=message):
        import_from("label-studio", source)


@pytest.mark.parametrize(
    ("data", "of"),
    [
        ({"left": "b.png", "right": "a.png"}, "right"),
        ({"image": "b.png", "right": "a.png"}, "right"),
        ({"preview": "b.png", "image": "a.png"}, "picture"),
    ],
)
def test_of_several_photos_the_one_is_taken_that_the_regions_are_of(tmp_path, data, of):
    assert [one.path.name for one in two_photos(tmp_path / "ls", data, of)[1].images] == ["a.png"]


def test_several_photos_of_which_any_may_be_labelled_are_refused(tmp_path):
    message = r"task 7: its data name several photos \(preview, photo\); call the one that is labelled image"
    with pytest.raises(UserError, match=message):
        two_photos(tmp_path / "ls", {"preview": "b.png", "photo": "a.png"}, "picture")


def two_photos(root, data, of):
    source = export(root, brush(blob(), "Paper", to_name=of))
    photo(source / "photos/b.png", WIDTH, HEIGHT)
    tasks = json.loads((source / "export.json").read_text())
    (source / "export.json").write_text(json.dumps([{**tasks[0], "data": data}]))
    return import_from("label-studio", source)


def test_a_lost_photo_and_a_short_export_are_errors(tmp_path):
    with pytest.raises(UserError, match=r"export.json, task 7: the photo '/b.png' is not below"):
        import_from("label-studio", export(tmp_path / "ls", brush(blob(), "Paper"), image="/b.png"))
    (tmp_path / "ls/export.json").write_text('[{"image": "a.png"}]')
    with pytest.raises(UserError, match="not as JSON-MIN"):
        import_from("label-studio", tmp_path / "ls")


def test_the_ground_truth_counts_and_cancelled_annotations_do_not(tmp_path):
    source = export(tmp_path / "ls", brush(blob(), "Paper"))
    content = json.loads((source / "export.json").read_text())
    answers = [("Metal", {"was_cancelled": True}), ("Paper", {}), ("Glass", {"ground_truth": True})]
    content[0]["annotations"] = [{"result": [brush(blob(), name)], **more} for name, more in answers]
    content.append({"id": 8, "data": {"image": "a.png"}, "annotations": []})
    (source / "export.json").write_text(json.dumps(content))
    report, dataset = import_from("label-studio", source)
    assert names(dataset) == {1: "Glass"}
    assert report.notes == ("1 tasks have no annotation and are left out",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "a.png"}, r"export.json is damaged \(0.data: Input should be a valid dictionary\): export it again"),
        ({"annotations": 1}, r"export.json is damaged \(0.annotations"),
        ({"annotations": [{"result": 1}]}, r"export.json is damaged \(0.annotations.0"),
        ({"annotations": [{"result": [{"value": []}]}]}, r"export.json is damaged \(0.annotations.0"),
        ({"annotations": [{"result": [region("brush", {"rle": 5}, "r1")]}]}, r"export.json is damaged"),
        ({"annotations": [{"result": [polygon([1, 2], "Paper")]}]}, r"export.json is damaged"),
        ({"annotations": [{"result": [{**brush(blob(), "Paper"), "id": []}]}]}, r"export.json is damaged"),
    ],
)
def test_a_damaged_export_is_named_with_the_place(tmp_path, change, message):
    source = export(tmp_path / "ls", brush(blob(), "Paper"))
    content = json.loads((source / "export.json").read_text())
    (source / "export.json").write_text(json.dumps([content[0] | change]))
    with pytest.raises(UserError, match=message):
        import_from("label-studio", source)


def test_keys_that_are_no_labels_are_passed_over(tmp_path):
    one = brush(blob(), "Paper")
    one["value"] = {"otherlabels": 5, **one["value"]}
    _, dataset = import_from("label-studio", export(tmp_path / "ls", one))
    assert names(dataset) == {1: "Paper"}
