"""Photos are put into scenes by what their files say, by their pictures, and by the names and similarity of frames."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data.made import real
from tests.trainables.data.scenes.pictures import dataset_of, picture
from trainables.data import load_dataset
from trainables.data.scenes import Scenes, declared_scenes, find_scenes
from trainables.errors import UserError


def frame(place: float, world: np.ndarray) -> np.ndarray:
    """A frame of a camera that moves over a wide picture."""
    return np.ascontiguousarray(world[:, int(place) : int(place) + 256])


def film(seed: int, frames: int, step: float = 20) -> list[np.ndarray]:
    world = np.concatenate([picture(100 * seed + number) for number in range(1 + int(256 + frames * step) // 256)], 1)
    return [frame(number * step, world) for number in range(frames)]


def test_photos_that_have_nothing_in_common_are_scenes_of_their_own(tmp_path):
    dataset = dataset_of(tmp_path, {f"{number:04d}.jpg": picture(number) for number in range(20)})
    scenes = find_scenes(dataset)
    assert scenes.of_row == scenes.parts == tuple(range(20))
    assert scenes.reasons == ()


def test_copies_are_one_scene_and_one_part(tmp_path):
    small = io.BytesIO()
    Image.fromarray(picture(3)).resize((128, 128)).save(small, "JPEG", quality=40)
    photos = {f"{number}.jpg": picture(number) for number in range(5)}
    dataset = dataset_of(tmp_path, photos | {"small.jpg": small.getvalue(), "flipped.jpg": picture(1)[:, ::-1]})
    scenes = find_scenes(dataset)
    assert scenes.of_row == scenes.parts == (0, 1, 2, 3, 4, 3, 1)
    assert scenes.reasons == (("the same picture", 4),)


def test_two_films_are_two_scenes_of_many_parts(tmp_path):
    names = [f"{drive}_{9 + number:d}.jpg" for drive in ("a", "b") for number in range(8)]
    photos = dict(zip(names, film(1, 8) + film(2, 8)))
    photos |= {f"single{seed}x.jpg": picture(50 + seed) for seed in range(20)}
    scenes = find_scenes(dataset_of(tmp_path, photos))
    assert scenes.of_row[:16] == (0,) * 8 + (1,) * 8
    assert len(set(scenes.of_row[16:])) == 20
    assert len(set(scenes.parts)) == 36
    assert scenes.reasons == (("frames of a sequence", 16),)


def test_films_under_running_numbers_are_cut_where_they_change(tmp_path):
    frames = [photo for seed in range(1, 7) for photo in film(seed, 6)]
    dataset = dataset_of(tmp_path, {f"images/train/{number:04d}.jpg": photo for number, photo in enumerate(frames)})
    assert find_scenes(dataset).of_row == tuple(number // 6 for number in range(36))


def test_declared_groups_are_kept_and_no_sequence_is_looked_for_among_them(tmp_path):
    photos = {f"f_{number}.jpg": photo for number, photo in enumerate(film(1, 10))}
    groups = {name: "first" if number < 4 else "second" for number, name in enumerate(photos)}
    scenes = find_scenes(dataset_of(tmp_path / "declared", photos, group=groups))
    assert scenes.of_row == (0,) * 4 + (1,) * 6
    assert scenes.parts == scenes.of_row
    assert find_scenes(dataset_of(tmp_path / "found", photos)).count(range(10)) == 1


@pytest.mark.parametrize(("pattern", "expected"), [(r"^(\w)\d", (0, 0, 1, 1, 2)), (r"^[ab]", (0, 0, 1, 1, 2))])
def test_group_by_reads_file_names(tmp_path, pattern, expected):
    names = ["a1.jpg", "a2.jpg", "b1.jpg", "b2.jpg", "c.jpg"]
    dataset = dataset_of(tmp_path, {name: picture(number) for number, name in enumerate(names)})
    assert find_scenes(dataset, group_by=pattern).of_row == expected


@pytest.mark.parametrize(
    ("pattern", "message"),
    [("(", r"--group-by '\(' is no regular expression"), (r"drive\d", r"--group-by .* finds nothing in any file name")],
)
def test_an_impossible_group_by_is_told(tmp_path, pattern, message):
    dataset = dataset_of(tmp_path, {"a.jpg": picture(0), "b.jpg": picture(1)})
    with pytest.raises(UserError, match=message):
        find_scenes(dataset, group_by=pattern)


def test_roboflow_copies_are_known_by_name(tmp_path):
    copy = "_jpg.rf.0123456789abcdef0123456789abcdef.jpg"
    other = "_jpg.rf.fedcba9876543210fedcba9876543210.jpg"
    names = [f"street7{copy}", f"street7{other}", f"street8{copy}", f"download{copy}", f"download{other}"]
    dataset = dataset_of(tmp_path, {name: picture(number) for number, name in enumerate(names)})
    assert declared_scenes(dataset.images).of_row == (0, 0, 1, 2, 3)


def test_the_answer_is_kept_and_belongs_to_these_photos(tmp_path):
    dataset = dataset_of(tmp_path / "data", {f"{number}.jpg": picture(number % 3) for number in range(4)})
    seen: list[int] = []
    first = find_scenes(dataset, cache_dir=tmp_path / "cache", progress=lambda done, total: seen.append(done))
    assert seen == [1, 2, 3, 4]
    again = find_scenes(dataset, cache_dir=tmp_path / "cache", progress=lambda done, total: seen.append(done))
    assert again == first
    assert len(seen) == 4
    find_scenes(dataset, group_by=r"\d", cache_dir=tmp_path / "cache", progress=lambda done, total: seen.append(done))
    assert len(seen) == 8
    for kept in (tmp_path / "cache").iterdir():
        kept.write_text("{")
    assert find_scenes(dataset, cache_dir=tmp_path / "cache") == first


def test_a_photo_that_cannot_be_decoded_is_a_scene_of_its_own(tmp_path):
    whole = io.BytesIO()
    Image.fromarray(picture(0)).save(whole, "JPEG")
    dataset = dataset_of(tmp_path, {"a.jpg": picture(1), "cut.jpg": whole.getvalue()[:3000], "b.jpg": picture(2)})
    assert find_scenes(dataset).of_row == (0, 1, 2)


def test_scenes_survive_json():
    scenes = Scenes((0, 0, 1), (0, 1, 2), (("frames of a sequence", 2),))
    assert Scenes.from_dict(json.loads(json.dumps(scenes.to_dict()))) == scenes


def test_too_few_scenes_are_cut_into_stretches_that_follow_each_other():
    scenes = Scenes((0,) * 8 + (1,) * 3, (*range(8), 8, 8, 8))
    names = [f"frame{number}.jpg" for number in (11, 2, 3, 4, 5, 6, 7, 8)] + ["a", "b", "c"]
    of_row = scenes.stretches(range(11), names, 4)
    pieces = {number: [row for row in of_row if of_row[row] == number] for number in set(of_row.values())}
    assert sorted(sorted(rows) for rows in pieces.values()) == [[0, 5, 6, 7], [1, 2], [3, 4], [8, 9, 10]]
    assert len(set(scenes.stretches(range(11), names, 2).values())) == 2
    assert len(set(scenes.stretches(range(11), names, 50).values())) == 9


def test_camvids_drives_are_found():
    dataset = load_dataset(real("camvid"))
    drives: dict[str, set[int]] = {}
    scenes = find_scenes(dataset)
    for image, scene in zip(dataset.images, scenes.of_row):
        drives.setdefault(image.file_name.split("/")[-1].split("_")[0], set()).add(scene)
    assert {drive: len(found) for drive, found in drives.items()} == {"0001TP": 1, "0006R0": 1, "0016E5": 1}
    assert len(set.union(*drives.values())) == 3


@pytest.mark.parametrize(("name", "pairs"), [("garbage6", [("g6_0047.jpg", "g6_0149.jpg")]), ("recycle60", [])])
def test_of_real_photos_that_are_no_film_only_true_copies_are_joined(name, pairs):
    dataset = load_dataset(real(name))
    scenes = find_scenes(dataset)
    together: dict[int, list[str]] = {}
    for image, scene in zip(dataset.images, scenes.of_row):
        together.setdefault(scene, []).append(image.path.name)
    assert sorted(tuple(sorted(names)) for names in together.values() if len(names) > 1) == pairs
