"""Whatever is done to a COCO file, loading it ends with a data set or with a UserError that can be shown."""

import copy
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.trainables.data.made import annotation, box, coco, image, write
from trainables.data import load_dataset
from trainables.data.annotations.labels import read_labels
from trainables.data.coco import load_annotations
from trainables.data.photo_list import list_photos
from trainables.errors import UserError

VALUES = (
    None, True, False, 0, 1, -1, 2, 7.0, 0.5, 1e300, 10**30, float("nan"), float("inf"), "", "1", "a.png", "../a.png",
    "\ud83d", "\0", "Background", [], {}, [[]], [[1, 2, 3, 4, 5, 6]], [None], {"size": [10, 20], "counts": "oo"},
    {"size": [10, 20], "counts": [200]}, {"size": None}, [[0.1, 0.2, 0.9, 0.2, 0.9, 0.9]], [1], [[1e308] * 6],
)  # fmt: skip


def sound() -> dict:
    images = [image(1, "a.png"), image(2, "b.png"), image(3, "c.png")]
    rle = {"size": [10, 20], "counts": [20, 30, 150]}
    shapes = [box(2, 2, 6, 4), box(1, 1, 5, 5) + box(9, 2, 4, 4), rle, box(3, 3, 9, 3)]
    annotations = [annotation(place, 1 + place % 3, 1 + place % 2, shape) for place, shape in enumerate(shapes)]
    return copy.deepcopy(coco(images, annotations))  # the categories are those of all tests


def places(value, path=()):
    """Yield the path to every value in a JSON document."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def damaged(draw, content: dict):
    """`content` with some of its values replaced, removed, or doubled."""
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(sorted(places(content), key=repr)))
        if not path:
            content = copy.deepcopy(draw(st.sampled_from(VALUES)))
            continue
        parent = content
        for key in path[:-1]:
            parent = parent[key]
        how = draw(st.sampled_from(["replace", "remove", "double"]))
        if how == "remove":
            del parent[path[-1]]
        elif how == "double" and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[path[-1]]))
        else:
            parent[path[-1]] = copy.deepcopy(draw(st.sampled_from(VALUES)))
    return content


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write(tmp_path_factory.mktemp("damaged"), train=sound())


def attempt(call):
    """What the call returned; None where it raised a UserError, whose message can be printed."""
    try:
        return call()
    except UserError as error:
        str(error).encode()  # raises where the message cannot be printed
        return None


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_file_is_loaded_or_refused(root, data):
    content = damaged(data.draw, sound())
    (root / "train.json").write_text(json.dumps(content))
    dataset = attempt(lambda: load_dataset(root))
    if dataset is not None:
        assert any(dataset.mask(image.row).any() for image in dataset.images)
        assert all(str(problem).encode() for problem in dataset.problems)
        assert dataset.summary.encode()
        assert {np.dtype(np.uint8)} == {dataset.mask(image.row).dtype for image in dataset.images}
    attempt(lambda: load_annotations(root))
    attempt(lambda: list_photos(root / "train.json"))
    attempt(lambda: read_labels(root / "train.json", {1: "Paper", 2: "Glass"}, "background"))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1))
def test_flipped_and_lost_bytes_are_read_or_refused(root, seed):
    random = np.random.default_rng(seed)
    content = bytearray(json.dumps(sound()).encode())
    for place in random.integers(0, len(content), random.integers(1, 6)):
        content[place] ^= 1 << random.integers(0, 8)
    (root / "train.json").write_bytes(content[: len(content) - int(random.integers(0, 2) * random.integers(0, 90))])
    attempt(lambda: load_dataset(root))
