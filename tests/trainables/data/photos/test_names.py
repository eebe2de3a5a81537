"""Names that look the same are the same, whatever wrote them: macOS takes characters apart and Linux does not."""

import json
import unicodedata

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data.formats.reading import import_from, photo
from tests.trainables.data.made import annotation, coco, image, write
from trainables.data.coco import load_annotations
from trainables.data.edits import apply_edits, read_edits
from trainables.data.folds.splits import make_splits
from trainables.errors import UserError

NFC, NFD = (unicodedata.normalize(form, "caf\u00e9 1") for form in ("NFC", "NFD"))
WIDTH, HEIGHT = 24, 16


def masks(root, on_disk, named):
    photo(root / f"images/{on_disk}.jpg")
    (root / "masks").mkdir()
    Image.fromarray(np.tile(np.uint8([0, 1]), (HEIGHT, WIDTH // 2))).save(root / f"masks/{named}.png")
    (root / "classes.txt").write_text("background\nPaper\n")


def cvat(root, on_disk, named):
    photo(root / f"{on_disk}.jpg")
    shape = '<polygon label="Paper" points="1,1;9,1;9,9"/>'
    entry = f'<image id="0" name="{named}.jpg" width="{WIDTH}" height="{HEIGHT}">{shape}</image>'
    (root / "annotations.xml").write_text(f"<annotations>{entry}</annotations>", encoding="utf-8")


def labelme(root, on_disk, named):
    photo(root / f"{on_disk}.jpg")
    shapes = [{"label": "Paper", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}]
    content = {"imagePath": f"{named}.jpg", "imageHeight": HEIGHT, "imageWidth": WIDTH, "shapes": shapes}
    (root / "a.json").write_text(json.dumps(content))


def yolo(root, on_disk, named):
    photo(root / f"images/{on_disk}.jpg")
    (root / "labels").mkdir()
    (root / f"labels/{named}.txt").write_text("0 0.1 0.1 0.8 0.2 0.4 0.9\n")
    (root / "list.txt").write_text(f"images/{named}.jpg\n", encoding="utf-8")
    (root / "data.yaml").write_text("names: [Paper]\ntrain: list.txt\n")


@pytest.mark.parametrize("form", [masks, cvat, labelme, yolo])
@pytest.mark.parametrize(("on_disk", "named"), [(NFC, NFD), (NFD, NFC)])
def test_imports_find_photos_and_labels(tmp_path, form, on_disk, named):
    form(tmp_path / "src", on_disk, named)
    _, dataset = import_from(form.__name__, tmp_path / "src")
    assert [len(one.annotations) for one in dataset.images] == [1]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (masks, "no photo of its name below .*images, but IMG.jpg is there"),
        (cvat, "is not below .*, but 'IMG.jpg' is;"),
    ],
)
def test_a_name_that_differs_in_capitals_is_told(tmp_path, form, said):
    form(tmp_path / "src", "IMG", "img")
    with pytest.raises(UserError, match=said):
        import_from(form.__name__, tmp_path / "src")


def test_folds_and_edits_mean_the_same_photo(tmp_path):
    images = [image(1, f"{NFD}.png"), image(2, "b.png"), image(3, "c.png")]
    train = coco(images, [annotation(number, number, 1) for number in (1, 2, 3)])
    val = coco([image(9, "v.png")], [annotation(1, 9, 1)])
    dataset = load_annotations(write(tmp_path / "data", photos=False, train=train, val=val))
    (tmp_path / "folds.csv").write_text(f"{NFC}.png,0\nb.png,1\nc.png,1\n", encoding="utf-8")
    splits = make_splits(dataset, folds=2, folds_by="predefined", folds_file=tmp_path / "folds.csv")
    assert splits.folds == ((0,), (1, 2))
    (tmp_path / "edits.yaml").write_text(f"rules:\n  - drop_images: {{images: ['{NFC}.png']}}\n", encoding="utf-8")
    assert apply_edits(dataset, read_edits(tmp_path / "edits.yaml")).dropped == {0}
