"""Files with several pictures: the first is taken, and that is said once for a data set."""

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data.made import image, small, write, write_photo
from trainables.data import load_dataset
from trainables.data.photo_list import list_photos
from trainables.data.photos.photo_files import PhotoError, PhotoFacts, inspect_header, inspect_photos

SAID = "files hold several pictures, an animation or pages, such as"


def save(path, pictures=3, **how):
    first, *others = (Image.fromarray(np.full((10, 20, 3), 100 * number, np.uint8)) for number in range(pictures))
    first.save(path, **({"save_all": True, "append_images": others, **how} if others else {}))
    return path


@pytest.mark.parametrize("pictures", [1, 2, 3])
@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_it_is_seen_of_each_kind_of_file(tmp_path, suffix, pictures):
    path = save(tmp_path / f"a.{suffix}", pictures)
    assert inspect_header(path).several is (pictures > 1)
    assert (inspect_header(path).width, inspect_header(path).height) == (20, 10)


def test_a_second_form_of_the_same_photo_is_none(tmp_path):
    """The pictures that telephones add, and the smaller copies in a TIFF of maps."""
    assert not inspect_header(save(tmp_path / "a.jpg", format="MPO")).several
    smaller = Image.new("RGB", (10, 5))
    smaller.encoderinfo = {"tiffinfo": {254: 1}}
    Image.new("RGB", (20, 10)).save(tmp_path / "a.tif", save_all=True, append_images=[smaller])
    with Image.open(tmp_path / "a.tif") as opened:
        opened.seek(1)
        assert opened.tag_v2[254] == 1
    assert not inspect_header(tmp_path / "a.tif").several


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Truncated File Read", "ignore:Metadata Warning")
@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_a_file_that_is_cut_off_anywhere_is_a_photo_or_is_named(tmp_path, suffix):
    content = save(tmp_path / f"whole.{suffix}").read_bytes()
    path, kinds = tmp_path / f"a.{suffix}", set()
    for length in range(1, len(content), 3):
        path.write_bytes(content[:length])
        kinds |= {type(fact) for fact in inspect_photos([path], None)}
    assert kinds <= {PhotoFacts, PhotoError}


@pytest.fixture
def root(tmp_path):
    """A data set of five photos, of which two are animations."""
    content = small()
    content["images"] = [image(number, f"{number}.png", 20, 10) for number in range(1, 6)]
    write(tmp_path / "data", train=content)
    for number in (2, 4):
        save(tmp_path / "data" / f"{number}.png")
    return tmp_path / "data"


@pytest.mark.parametrize("times", [1, 2])
def test_a_data_set_says_it_once_and_also_where_the_photos_are_remembered(root, tmp_path, times):
    for _ in range(times):
        said = [str(problem) for problem in load_dataset(root, cache_dir=tmp_path / "cache").problems]
    assert [f"2 {SAID} 2.png" in one for one in said].count(True) == 1


def test_photos_to_predict_say_it_in_a_directory_and_in_a_coco_file(root):
    for source in (root, root / "train.json"):
        assert [note for note in list_photos(source).notes if "several" in note] == [
            f"2 {SAID} 2.png: only the first of each is taken"
        ]


def test_other_photos_say_nothing(tmp_path):
    write_photo(tmp_path / "a.png", 20, 10)
    write_photo(tmp_path / "b.jpg", 20, 10)
    assert list_photos(tmp_path).notes == ()
