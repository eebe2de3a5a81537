"""Corrections of labels: every rule by hand, and what they leave alone."""

import pytest

from tests.trainables.data.made import annotation, box, coco, image, write
from trainables.data.coco import load_dataset
from trainables.data.edits import apply_edits, read_edits, without_rows
from trainables.errors import UserError

CATEGORIES = [{"id": 1, "name": "Paper"}, {"id": 2, "name": "Glass"}, {"id": 5, "name": "Metal"}]


@pytest.fixture
def dataset(tmp_path):
    """Rows 0 to 2 are for training, row 3 is val.json: there, as in row 0, a Glass of 16 lies on a Paper of 96."""
    pair = [annotation(10, 1, 1, box(0, 0, 12, 8)), annotation(11, 1, 2, box(2, 2, 4, 4))]
    train = coco(
        [image(1, "a.png"), image(2, "b.png"), image(3, "c.png")],
        [*pair, annotation(12, 2, 5, box(0, 0, 2, 3))],
        CATEGORIES,
    )
    return load_dataset(write(tmp_path / "data", train=train, val=coco([image(1, "v.png")], pair, CATEGORIES)))


def edit(dataset, tmp_path, rules, holdout=(3,), whole=False):
    file = tmp_path / "edits.yaml"
    file.write_text(f"apply_to_holdout: {str(whole).lower()}\nrules:\n{rules}")
    return apply_edits(dataset, read_edits(file), holdout)


def labels(dataset):
    names = {one.id: one.name for one in dataset.categories}
    return [[(one.id, names[one.category_id]) for one in image.annotations] for image in dataset.images]


BEFORE = [[(10, "Paper"), (11, "Glass")], [(12, "Metal")], [], [(10, "Paper"), (11, "Glass")]]


@pytest.mark.parametrize(
    ("rules", "changed", "after"),
    [
        ("- relabel: {annotations: [11], to: Metal}", 1, {0: [(10, "Paper"), (11, "Metal")]}),
        ("- relabel: {classes: [Metal], to: Glass}", 1, {1: [(12, "Glass")]}),
        ("- relabel: {images: [a.png], to: Metal}", 2, {0: [(10, "Metal"), (11, "Metal")]}),
        ("- delete: {classes: [Glass]}", 1, {0: [(10, "Paper")]}),
        ("- delete: {max_area: 10}", 1, {1: []}),
        ("- delete: {min_area: 80, classes: [Paper]}", 1, {0: [(11, "Glass")]}),
        ("- min_area: {pixels: 16}", 1, {1: []}),
        ("- min_area: {pixels: 17}", 2, {0: [(10, "Paper")], 1: []}),
        ("- min_area: {pixels: 81, classes: [Paper]}", 1, {0: [(11, "Glass")]}),
    ],
)
def test_rules_change_what_they_choose_and_never_the_holdout(dataset, tmp_path, rules, changed, after):
    edited = edit(dataset, tmp_path, rules)
    assert [count for _, count in edited.counts] == [changed]
    assert labels(edited.dataset) == [after.get(row, own) for row, own in enumerate(BEFORE)]
    assert labels(dataset) == BEFORE


def test_annotations_without_an_id_of_their_own_are_chosen_by_their_places(tmp_path):
    twins = [annotation(0, 1, 1), annotation(0, 1, 1, box(10, 0, 5, 5)), annotation(3, 2, 1), annotation(4, 2, 1)]
    del twins[3]["id"]
    train = coco([image(1, "a.png"), image(2, "b.png")], twins, CATEGORIES)
    dataset = load_dataset(write(tmp_path / "data", train=train))
    edited = edit(dataset, tmp_path, "- relabel: {annotations: ['annotations[1]', '3'], to: Metal}").dataset
    assert labels(edited) == [
        [("annotations[0]", "Paper"), ("annotations[1]", "Metal")],
        [(3, "Metal"), ("annotations[3]", "Paper")],
    ]
    with pytest.raises(UserError, match=r"rule 1 .*matches nothing"):
        edit(dataset, tmp_path, "- delete: {annotations: [0]}")


def test_areas_are_those_that_are_visible(dataset, tmp_path):
    """The Paper of 96 pixels has 80 that the Glass does not hide."""
    with pytest.raises(UserError, match=r"rule 1 \(min_area\): matches nothing"):
        edit(dataset, tmp_path, "- min_area: {pixels: 80, classes: [Paper]}")
    uncovered = edit(dataset, tmp_path, "- delete: {classes: [Glass]}\n- delete: {min_area: 96}")
    assert uncovered.counts == (("rule 1 (delete)", 1), ("rule 2 (delete)", 1))


def test_images_are_dropped_from_training_alone(dataset, tmp_path):
    edited = edit(dataset, tmp_path, "- drop_images: {unlabelled: true}\n- drop_images: {images: [1]}")
    assert edited.dropped == {0, 2}
    assert len(edited.dataset.images) == 4
    left = without_rows(edited.dataset, edited.dropped)
    assert [(one.row, one.file_name) for one in left.images] == [(0, "b.png"), (1, "v.png")]


def test_the_holdout_is_edited_where_the_file_says_so(dataset, tmp_path):
    edited = edit(dataset, tmp_path, "- delete: {classes: [Glass]}", whole=True)
    assert edited.counts == (("rule 1 (delete)", 2),)
    assert labels(edited.dataset)[3] == [(10, "Paper")]


@pytest.mark.parametrize("whole", [False, True])
def test_the_test_is_edited_only_where_the_holdout_is(dataset, tmp_path, whole):
    """Its annotations have ids of their own, which may be those of other annotations in train.json."""
    test = coco([image(1, "t.png")], [annotation(11, 1, 2, box(2, 2, 4, 4))], CATEGORIES)
    dataset = load_dataset(write(dataset.root, test=test))
    edited = edit(dataset, tmp_path, "- relabel: {annotations: [11], to: Metal}", whole=whole)
    assert labels(edited.dataset)[0] == [(10, "Paper"), (11, "Metal")]
    assert labels(edited.dataset)[4] == [(11, "Metal" if whole else "Glass")]


def test_classes_are_merged_and_renamed_everywhere(dataset, tmp_path):
    rules = "- merge: {classes: [Paper, Glass], into: Dry}\n- rename: {classes: [Metal], into: Tin}"
    edited = edit(dataset, tmp_path, rules, whole=True).dataset
    assert edited.class_names == ("Background", "Dry", "Tin")
    assert labels(edited) == [[(10, "Dry"), (11, "Dry")], [(12, "Tin")], [], [(10, "Dry"), (11, "Dry")]]
    assert set(edited.mask(1).ravel().tolist()) == {0, 2}
    for glass in ("Glass", "' Glass '"):
        rule = f"- merge: {{classes: [Metal], into: {glass}}}"
        into_one_that_is_there = edit(dataset, tmp_path, rule, whole=True).dataset
        assert into_one_that_is_there.class_names == ("Background", "Paper", "Glass")


def test_fingerprints_tell_edited_labels_apart(dataset, tmp_path):
    first = edit(dataset, tmp_path, "- delete: {classes: [Glass]}").dataset
    again = edit(dataset, tmp_path, "- {delete: {classes: [Glass]}}").dataset
    other = edit(dataset, tmp_path, "- delete: {classes: [Metal]}").dataset
    assert first.fingerprint == again.fingerprint
    assert len({dataset.fingerprint, first.fingerprint, other.fingerprint}) == 3
    assert first.fingerprint_of([3]) == dataset.fingerprint_of([3])
    assert first.fingerprint_of([0]) != dataset.fingerprint_of([0])


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("- relable: {to: Glass}", r"rule 1: unknown rule 'relable'.*relabel"),
        ("- relabel: {classes: [Paper]}", r"rule 1 \(relabel\): to is missing"),
        ("- relabel: {class: [Paper], to: Glass}", r"unknown key 'class'.*classes"),
        ("- relabel: {classes: [Papper], to: Glass}", r"there is no class 'Papper'.*Paper"),
        ("- delete: {annotations: [99]}", r"rule 1 \(delete\): matches nothing among the labels that are no holdout"),
        ("- delete: {images: [x.png]}", "there is no image 'x.png'"),
        ("- delete: {annotations: 3}", "annotations is 3, which is not allowed$"),
        ("- delete: {classes: [no]}", r"classes is \[False\], which is not allowed; names .* need quotes"),
        ("- delete: {classes: [Glass], classes: [Paper]}", "the key 'classes' comes twice"),
        ("- delete:", r"\(delete\): chooses nothing"),
        ("- delete: {classes: [Glass]}\n- delete: {classes: [Glass]}", r"rule 2 \(delete\): matches nothing"),
        ("- relabel: {classes: [Glass], to: Glass}", "matches nothing"),
        ("- merge: {classes: [Paper, Glass], into: Dry}", "rule 1: merge changes the classes of the holdout, too"),
    ],
)
def test_faults_name_file_and_rule(dataset, tmp_path, rules, message):
    with pytest.raises(UserError, match=message) as raised:
        edit(dataset, tmp_path, rules)
    assert "edits.yaml" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: []", "has no list of rules"),
        ("rules: [1]\n", "rule 1: is 1, but must be one of"),
        ("rule: []\nrules: [{delete: {max_area: 3}}]", "unknown key 'rule'"),
        ("a: [", "is no YAML"),
        ("rules: [{delete: {max_area: 3}}]\nrules: [{delete: {max_area: 4}}]", "the key 'rules' comes twice, and one"),
        ("apply_to_holdout: 3\nrules: [{delete: {max_area: 3}}]", "apply_to_holdout is 3"),
    ],
)
def test_files_that_are_no_edits(tmp_path, text, message):
    (tmp_path / "edits.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        read_edits(tmp_path / "edits.yaml")
