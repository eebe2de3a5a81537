"""Every fault of a data set: stopped or skipped, with its file, id and remedy."""

import json
import math

import pytest
from PIL import Image

from tests.trainables.data.made import CATEGORIES, annotation, box, coco, image, small, write, write_photo
from trainables.data import load_dataset
from trainables.data.annotations.checks import Problem, raise_if_any, read_json
from trainables.errors import UserError

TWICE = [*CATEGORIES, {"id": 2, "name": "Other"}]


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: there is no such directory; give --data"):
        load_dataset(tmp_path / "nowhere")


def test_a_missing_train_file_is_named_with_what_is_there(tmp_path):
    (tmp_path / "annotations.json").write_text("{}")
    with pytest.raises(UserError, match=r"train\.json is missing \(found: annotations\.json\)"):
        load_dataset(tmp_path)


def test_background_may_be_a_class_where_the_rest_is_ignored(tmp_path):
    train = {**small(), "categories": [{"id": 1, "name": "background"}, {"id": 2, "name": "Glass"}]}
    assert load_dataset(write(tmp_path, train=train), unlabelled="ignore").class_names == ("background", "Glass")


@pytest.mark.parametrize(
    "names", [("Box", "box"), ("paper pack", "Paper_Pack"), ("Glass", "Ｇlass"), ("Glass", "Glass\u200b")]
)
def test_categories_of_almost_one_name_are_listed(tmp_path, names):
    train = {**small(), "categories": [{"id": 1 + place, "name": name} for place, name in enumerate(names)]}
    (problem,) = load_dataset(write(tmp_path, train=train)).problems
    assert problem.what == f"the categories {names[0]!r}, {names[1]!r} have almost the same name"
    assert "one category id" in problem.remedy


@pytest.mark.parametrize("name", ["", 7, "a\x1b[31mb", "a\nb", "a\tb", "a\x00", "a\u2028b", "\ud83d"])
def test_a_category_whose_name_no_screen_can_show_is_a_fault(tmp_path, name):
    train = {**small(), "categories": [{"id": 1, "name": "Paper"}, {"id": 2, "name": name}]}
    with pytest.raises(
        UserError, match=r"train\.json, id 2: name is .*, expected a text in characters of UTF-8, on one line"
    ):
        load_dataset(write(tmp_path, train=train))


UNUSABLE = {
    "an RLE in a list": [{"size": [10, 20], "counts": [50, 50, 100]}],
    "an RLE of width and height": {"size": [20, 10], "counts": [50, 50, 100]},
    "a flat polygon": box(2, 2, 6, 4)[0],
    "pairs of points": [[[2, 2], [8, 2], [8, 6]]],
    "two points": [[2, 2, 8, 6]],
    "nothing": [],
}


@pytest.mark.parametrize("segmentation", UNUSABLE.values(), ids=UNUSABLE)
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_file_of_which_no_segmentation_can_be_used_stops(tmp_path, segmentation, split):
    """Else every mask would be background, and whoever answers background would score 1."""
    broken = coco([image(1, "v.png")], [annotation(1, 1, 1, segmentation), annotation(2, 1, 2, segmentation)])
    contents = {"train": small(), split: broken}
    with pytest.raises(UserError, match=rf"{split}\.json: none of its 2 annotations can be used"):
        load_dataset(write(tmp_path, **contents))


def test_polygons_in_shares_of_the_sides_are_taken_times_these(tmp_path):
    in_pixels, in_shares = small(), small()
    for entry in in_shares["annotations"]:
        (part,) = entry["segmentation"]
        entry["segmentation"] = [[value / (20, 10)[place % 2] for place, value in enumerate(part)]]
    dataset = load_dataset(write(tmp_path / "shares", train=in_shares))
    expected = load_dataset(write(tmp_path / "pixels", train=in_pixels))
    assert [(dataset.mask(row) == expected.mask(row)).all() for row in range(2)] == [True, True]
    assert [problem.what for problem in dataset.problems] == [
        "all of its polygons are in shares of the sides, from 0 to 1"
    ]


def test_polygons_that_may_be_percent_are_listed(tmp_path):
    images = [image(1, "a.png", 300, 250)]
    annotations = [annotation(number, 1, 1 + number % 2, box(5 * number, 3, 20, 90)) for number in range(12)]
    (problem,) = load_dataset(write(tmp_path, train=coco(images, annotations))).problems
    assert problem.what == "all of its polygons lie within the first 100 pixels of images that are much larger"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le"])
def test_json_may_be_in_any_encoding_of_unicode(tmp_path, encoding):
    train = {**small(), "categories": [{"id": 1, "name": "종이"}, {"id": 2, "name": "유리"}]}
    write(tmp_path, train=train)
    (tmp_path / "train.json").write_bytes(json.dumps(train, ensure_ascii=False).encode(encoding))
    assert load_dataset(tmp_path).class_names == ("Background", "종이", "유리")


def test_a_file_that_is_not_there_is_no_matter_of_permissions(tmp_path):
    with pytest.raises(UserError, match=r"none\.json: there is no such file; check the path"):
        read_json(tmp_path, "none.json")


@pytest.mark.parametrize("encoding", ["cp949", "latin-1"])
def test_json_in_another_encoding_is_told(tmp_path, encoding):
    train = {**small(), "categories": [{"id": 1, "name": "종이" if encoding == "cp949" else "é"}]}
    write(tmp_path, train=train)
    (tmp_path / "train.json").write_bytes(json.dumps(train, ensure_ascii=False).encode(encoding))
    with pytest.raises(UserError, match=r"train\.json: is not JSON in UTF-8 \(byte \d+ .*save it with that encoding"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n",
            "is a pointer of Git LFS .* lfs pull",
        ),
        ("", r"is empty \(0 bytes\); copy or download it again"),
    ],
)
def test_a_file_that_was_not_fetched_is_told(tmp_path, content, message):
    (tmp_path / "train.json").write_text(content)
    with pytest.raises(UserError, match=rf"train\.json {message}"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("content", [b"{not json", b"\xff\xfe\x00", b"[" * 100_000])
@pytest.mark.parametrize("split", ["train", "val"])
def test_what_is_not_json_is_named(tmp_path, content, split):
    write(tmp_path, train=small())
    (tmp_path / f"{split}.json").write_bytes(content)
    with pytest.raises(UserError, match=rf"{split}\.json: is not JSON"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "is not COCO: the outermost value is a list"),
        ({}, r"images is missing.*\n.*annotations is missing.*\n.*categories is missing"),
        ({**small(), "images": {}}, "images is an object, not a list"),
        ({**small(), "annotations": None}, "annotations is null, not a list"),
        ({**small(), "categories": [7]}, r"categories\[0\]: is not an object"),
        ({**small(), "images": []}, "lists no image"),
        ({**small(), "categories": []}, "lists no category"),
        ({**small(), "images": [{"file_name": "a.png"}]}, r"images\[0\]: id is missing, expected a whole number"),
        ({**small(), "images": [{**image(4, "a.png"), "id": "4"}]}, r"images\[0\]: id is '4', expected a whole number"),
        ({**small(), "images": [{"id": 4, "file_name": "a.png", "width": 3}]}, "id 4: height is missing"),
        ({**small(), "images": [image(4, "a.png", width=0)]}, "id 4: width is 0, expected a whole number of pixels"),
        ({**small(), "images": [image(4, "a.png", height=70000)]}, "id 4: height is 70000.*to 65535"),
        ({**small(), "images": [image(4, "../a.png")]}, r"id 4: file_name is '\.\./a\.png', expected a path below"),
        ({**small(), "images": [image(4, "b/../../a.png")]}, "id 4: file_name .* expected a path below"),
        ({**small(), "images": [image(4, "/etc/passwd")]}, "id 4: file_name is '/etc/passwd', expected a path below"),
        ({**small(), "images": [image(4, "a.png\0")]}, "id 4: file_name .* expected a path below"),
        ({**small(), "images": [image(1, "a.png"), image(1, "b.png")]}, "id 1: 2 entries have this image id"),
        ({**small(), "images": [image(1, "a.png"), image(2, "./a.png")]}, r"id 2: \./a\.png is also image 1 of train"),
        ({**small(), "categories": TWICE}, "id 2: 2 entries have this category id"),
        ({**small(), "categories": [{"id": 1}]}, "id 1: name is missing"),
        ({**small(), "categories": [{"id": True, "name": "a"}]}, r"categories\[0\]: id is True"),
        ({**small(), "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]}, "2 categories have the name 'a'"),
        *(
            ({**small(), "categories": [{"id": 1, "name": name}]}, f"a category named '{name.strip()}'")
            for name in (
                "Background",
                "background",
                " BACKGROUND",
                "_background_",
                "__Background__",
                "bg",
                "back-ground",
            )
        ),
        ({**small(), "categories": [{"id": 1, "name": "ＢＧ"}]}, "a category named 'ＢＧ'"),
        ({**small(), "categories": [{"id": 1, "name": "배경"}]}, "a category named '배경'"),
        ({**small(), "categories": [{"id": 1, "name": "a\ud83d"}]}, r"name is 'a\\ud83d', expected a text in charac"),
        ({**small(), "images": [image(1, "a\ud83d.png")]}, r"id 1: file_name is 'a\\ud83d\.png', expected .* of UTF-8"),
        ({**small(), "images": [{**image(1, "a.png"), "group": "\udfff"}]}, r"id 1: group is '\\udfff'"),
        ({**small(), "images": [image(1, "..\\a.png")]}, "id 1: file_name .* expected a path below"),
        (
            {**small(), "categories": [{"id": 1, "name": "é"}, {"id": 2, "name": "e\u0301"}]},
            "2 categories have the name 'é'",
        ),
        ({**small(), "annotations": []}, "has no annotation at all"),
        ({**small(), "annotations": [annotation(1, 9, 1)]}, r"none of its 1 annotations .*\n.*unknown image 9"),
    ],
)
def test_an_unusable_file_stops_with_place_and_remedy(tmp_path, content, message):
    write(tmp_path, train=small())
    (tmp_path / "train.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=message) as caught:
        load_dataset(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "train.json" in str(caught.value)


def damage(path, how):
    if how == "missing":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("no photo at all")
    elif how == "script":
        path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 10\n")
    else:
        write_photo(path, 21, 10)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", r"b\.png cannot be read \(No such file or directory\); restore the photo"),
        ("empty", r"b\.png is empty \(0 bytes\); restore the photo"),
        ("text", r"b\.png is no image of a known kind"),
        ("script", r"b\.png is no image of a known kind"),
        ("other size", r"b\.png is 21x10, but train\.json states 20x10; correct width and height"),
    ],
)
def test_a_faulty_photo_stops_with_its_id(tmp_path, how, message):
    write(tmp_path, train=small())
    damage(tmp_path / "b.png", how)
    with pytest.raises(UserError, match=rf"train\.json, id 2: {message}"):
        load_dataset(tmp_path)


def test_all_faulty_photos_are_told_at_once_and_the_first_twenty_listed(tmp_path):
    images = [image(number, f"{number}.png") for number in range(30)]
    write(tmp_path, photos=False, train=coco(images, [annotation(1, 1, 1)]))
    with pytest.raises(UserError, match="30 faults found") as caught:
        load_dataset(tmp_path)
    assert "19.png" in str(caught.value)
    assert "20.png" not in str(caught.value)
    assert "and 10 more like these" in str(caught.value)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_photo_of_train_in_another_split_stops(tmp_path, split):
    write(tmp_path, train=small(), **{split: coco([image(8, "a.png")], [annotation(1, 8, 1)])})
    with pytest.raises(UserError, match=rf"{split}\.json, id 8: a\.png is also image 1 of train\.json"):
        load_dataset(tmp_path)


def test_the_same_bytes_in_train_and_val_are_listed(tmp_path):
    write(tmp_path, train=small(), val=coco([image(8, "c.png")], [annotation(1, 8, 1)]))
    (tmp_path / "c.png").write_bytes((tmp_path / "b.png").read_bytes())
    (problem,) = load_dataset(tmp_path).problems
    assert (problem.file, problem.id) == ("val.json", 8)
    assert problem.what == "c.png has the very bytes of b.png of train.json"


def test_a_group_in_two_files_is_listed_once(tmp_path):
    train, val = small(), coco([image(7, "c.png"), image(8, "d.png")], [annotation(1, 8, 1)])
    for entry in (train["images"][1], *val["images"]):
        entry["group"] = 5
    (problem,) = load_dataset(write(tmp_path, train=train, val=val)).problems
    assert (problem.file, problem.id) == ("val.json", 7)
    assert problem.what == "c.png is of group '5', as b.png of train.json is"


def test_groups_are_read_and_are_part_of_the_fingerprint(tmp_path):
    before = load_dataset(write(tmp_path, train=small()))
    grouped = small()
    grouped["images"][0]["group"] = "street"
    after = load_dataset(write(tmp_path, train=grouped))
    assert [one.group for one in after.images] == ["street", ""]
    assert after.fingerprint != before.fingerprint


@pytest.mark.parametrize(("start", "kind"), [(b"PK\x03\x04\xff\x00", "ZIP"), (b"\x1f\x8b\x08\x00", "gzip")])
def test_an_archive_is_told_to_be_one(tmp_path, start, kind):
    (tmp_path / "train.json").write_bytes(start + bytes(40))
    with pytest.raises(UserError, match=rf"train\.json is a {kind} archive; unpack it"):
        load_dataset(tmp_path)
    (tmp_path / "train.json").rename(tmp_path / "my.zip")
    with pytest.raises(UserError, match=rf"my\.zip is a {kind} archive; unpack it"):
        load_dataset(tmp_path / "my.zip")


def test_a_truncated_header_is_a_faulty_photo(tmp_path):
    write(tmp_path, photos=False, train=coco([image(3, "a.jpg", 200, 100)], [annotation(1, 3, 1)]))
    Image.new("RGB", (200, 100)).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:50])
    with pytest.raises(UserError, match=r"id 3: a\.jpg is no"):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("categories", "message"),
    [
        ([], "id 1 is 'Paper' in train.json and absent here"),
        ([{"id": 1, "name": "Glass"}, {"id": 2, "name": "Paper"}], "id 1 is 'Paper' in train.json and 'Glass' here"),
        ([*CATEGORIES, {"id": 5, "name": "Tin"}], "id 5 is absent in train.json and 'Tin' here"),
    ],
)
def test_other_categories_in_val_stop_and_the_difference_is_named(tmp_path, categories, message):
    write(tmp_path, train=small(), val=coco([image(1, "v.png")], [annotation(1, 1, 1)], categories))
    with pytest.raises(UserError, match=rf"val\.json: its categories differ .*{message}"):
        load_dataset(tmp_path)


def test_val_need_not_list_the_categories_that_it_has_not(tmp_path):
    shapes = [annotation(1, 1, 2), annotation(2, 1, 1)]
    write(tmp_path, train=small(), val=coco([image(1, "v.png")], shapes, [{"id": 2, "name": "Glass"}]))
    dataset = load_dataset(tmp_path)
    assert dataset.class_names == ("Background", "Paper", "Glass")
    assert [one.category_id for one in dataset.images[2].annotations] == [2]
    assert [str(problem).split(";")[0] for problem in dataset.problems] == [
        "val.json, id 2: annotation of the unknown category 1"
    ]


@pytest.mark.parametrize("split", ["val", "test"])
def test_val_without_annotations_stops_and_test_without_does_not(tmp_path, split):
    write(tmp_path, train=small(), **{split: coco([image(1, "v.png")], [])})
    if split == "test":
        assert not load_dataset(tmp_path).images[2].labelled
    else:
        with pytest.raises(UserError, match=r"val\.json: has no annotation at all"):
            load_dataset(tmp_path)


def rle(counts, size=(10, 20)):
    return {"size": list(size), "counts": counts}


BROKEN = [
    (annotation(9, 77, 1), "annotation of the unknown image 77"),
    (annotation(9, "1", 1), "annotation of the unknown image '1'"),
    (annotation(9, 1, 77), "annotation of the unknown category 77"),
    (annotation(9, 1, None), "annotation of the unknown category None"),
    (annotation(9, 1, 1, []), "annotation without segmentation"),
    (annotation(9, 1, 1, {}), "annotation without segmentation"),
    (annotation(9, 1, 1, "polygon"), "segmentation is a text"),
    (annotation(9, 1, 1, [1, 1, 5, 1, 5, 5]), "no list of polygons"),
    (annotation(9, 1, 1, [[[1, 1], [5, 1], [5, 5]]]), "polygon 1 of 1 is not a list of numbers"),
    (annotation(9, 1, 1, [[1, 1, 5, 1]]), "polygon 1 of 1 has 2 points, fewer than 3"),
    (annotation(9, 1, 1, [[]]), "polygon 1 of 1 has 0 points"),
    (annotation(9, 1, 1, [[1, 1, 5, 1, 5, 5, 2]]), r"polygon 1 of 1 has an odd count of coordinates \(7\)"),
    (annotation(9, 1, 1, [[1, 1, 9, 9, 5, 5]]), "covers no pixel"),
    (annotation(9, 1, 1, [[0.1, 0.1, 0.3, 0.1, 0.3, 0.3]]), "lies within the first pixel: .*not shares"),
    (annotation(9, 1, 1, [[1, 1, math.nan, 1, 5, 5]]), "has a coordinate that is not finite"),
    (annotation(9, 1, 1, [[1, 1, 10**400, 1, 5, 5]]), "reaches far out of the 20x10 image"),
    (annotation(9, 1, 1, [[1, 1, 10**9, 1, 5, 5]]), "reaches far out of the 20x10 image"),
    (annotation(9, 1, 1, box(20, 2, 5, 5)), "lies wholly outside the 20x10 image"),
    (annotation(9, 1, 1, box(2, -8, 5, 8)), "lies wholly outside the 20x10 image"),
    (annotation(9, 1, 1, rle([100, 100], (20, 10))), r"RLE of size \[20, 10\] .*but the image has \[10, 20\]"),
    (annotation(9, 1, 1, rle([5, 10])), "RLE runs cover 15 pixels, but the image has 200"),
    (annotation(9, 1, 1, rle([190, -5, 15])), "neither text nor a list of runs"),
    (annotation(9, 1, 1, rle(["200"])), "neither text nor a list of runs"),
    (annotation(9, 1, 1, rle(None)), "neither text nor a list of runs"),
    (annotation(9, 1, 1, rle("é")), "no compressed RLE"),
    (annotation(9, 1, 1, rle("oo")), "no compressed RLE"),
    (annotation(9, 1, 1, rle("0T^2")), "RLE runs cover 2500 pixels, but the image has 200"),
    (annotation(9, 1, 1, rle([200])), "covers no pixel"),
]


@pytest.mark.parametrize(("broken", "message"), BROKEN)
def test_a_broken_annotation_is_listed_and_skipped(tmp_path, broken, message):
    train = small()
    train["annotations"].insert(1, broken)
    dataset = load_dataset(write(tmp_path, train=train))
    (problem,) = dataset.problems
    assert (problem.file, problem.id) == ("train.json", 9)
    assert "correct or remove it" in problem.remedy
    with pytest.raises(UserError, match=message):
        raise_if_any(tmp_path, dataset.problems)
    assert [[one.id for one in record.annotations] for record in dataset.images] == [[1], [2]]


def test_the_sound_parts_of_a_polygon_are_kept(tmp_path):
    train = small()
    train["annotations"][0]["segmentation"] = [[1, 1, 2], *box(0, 0, 3, 3)]
    dataset = load_dataset(write(tmp_path, train=train))
    assert dataset.images[0].annotations[0].area == 9
    assert [str(problem) for problem in dataset.problems] == [
        "train.json, id 1: annotation of image 1: polygon 1 of 2 has an odd count of coordinates (3); "
        "it is left out: correct or remove it"
    ]


def test_annotations_of_one_id_are_listed_and_all_painted(tmp_path):
    train = small()
    train["annotations"].append(annotation(1, 1, 2, box(0, 0, 2, 2)))
    dataset = load_dataset(write(tmp_path, train=train))
    remedy = "all are kept, and are called by their places, such as annotations[0]; give each its own id"
    assert dataset.problems == (Problem("train.json", 1, "2 entries have this annotation id", remedy),)
    assert [one.category_id for one in dataset.images[0].annotations] == [1, 2]


@pytest.mark.parametrize(
    "name", ["5f3c9d1e", "7", 1.0, 2.5, None, [], {}, True, 0, 10**20, float("inf")], ids=lambda name: str(name)
)
def test_annotations_are_painted_whatever_their_ids_are(tmp_path, name):
    """Nothing refers to an annotation by its id."""
    train = small()
    for entry in train["annotations"]:
        entry["id"] = name
    dataset = load_dataset(write(tmp_path, train=train))
    assert [one.area for image in dataset.images for one in image.annotations] == [24, 24]
    assert {problem.what for problem in dataset.problems} <= {"2 entries have this annotation id"}


def test_a_broken_annotation_without_an_id_is_named_by_its_place(tmp_path):
    train = small()
    train["annotations"].append({**annotation(1, 1, 1, []), "id": None})
    (problem,) = load_dataset(write(tmp_path, train=train)).problems
    assert str(problem).startswith("train.json, annotations[2]: annotation without segmentation")


def test_whole_floats_are_ids(tmp_path):
    """What pandas makes of ids where one is missing."""
    train = small()
    for entry in (*train["images"], *train["annotations"], *train["categories"]):
        entry.update({key: float(value) for key, value in entry.items() if key.endswith("id")})
    dataset = load_dataset(write(tmp_path, train=train))
    assert [one.image_id for one in dataset.images] == [1, 2]
    assert [len(one.annotations) for one in dataset.images] == [1, 1]
    assert all(type(one.image_id) is int for one in dataset.images)


def test_a_byte_order_mark_and_whole_floats_are_accepted(tmp_path):
    train = small()
    train["images"][0]["width"] = 20.0
    write(tmp_path, train=small())
    (tmp_path / "train.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(train).encode())
    assert load_dataset(tmp_path).images[0].width == 20


def test_an_unknown_way_with_unlabelled_pixels_is_refused(tmp_path):
    with pytest.raises(UserError, match="unlabelled is 'void': choose background or ignore"):
        load_dataset(tmp_path, unlabelled="void")


@pytest.mark.parametrize("key", ["images", "annotations", "categories"])
def test_a_list_that_comes_twice_is_refused(tmp_path, key):
    """As in two files that were joined in an editor: the last list alone would be read."""
    write(tmp_path, train=small())
    text = (tmp_path / "train.json").read_text()
    (tmp_path / "train.json").write_text(f'{{"{key}": [], {text[1:]}')
    with pytest.raises(UserError, match=f"train.json: the key '{key}' comes twice, and one of its lists would be lost"):
        load_dataset(tmp_path)
