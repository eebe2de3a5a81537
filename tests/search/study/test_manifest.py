"""study.json: whatever is wrong with it is named, and nothing of it is believed."""

import copy
import json

import pytest

from search.study.manifest import MANIFEST, read_manifest
from trainables.errors import DamagedFileError, UserError


def changed(manifest, *keys, to):
    new = copy.deepcopy(manifest)
    inner = new
    for key in keys[:-1]:
        inner = inner[key]
    if to is ...:
        del inner[keys[-1]]
    else:
        inner[keys[-1]] = to
    return new


def test_a_study_reads_what_it_wrote(study):
    assert read_manifest(study.directory) == json.loads((study.directory / MANIFEST).read_text())


@pytest.mark.parametrize(
    ("keys", "to"),
    [
        (("id",), ...),
        (("id",), 7),
        (("settings",), []),
        (("settings", "unlabelled"), ...),
        (("settings", "trials"), "12"),
        (("settings", "fix"), "seed=5"),
        (("settings", "reduction_factor"), None),
        (("data", "root"), ...),
        (("data", "fingerprint"), None),
        (("data", "class_names"), "Paper"),
        (("data", "class_id_of"), {"1": "one"}),
        (("splits", "holdout"), ["0"]),
        (("splits", "folds"), [0, 1]),
        (("splits",), None),
        (("pseudo",), {"root": "P"}),
        (("code_version",), ...),
        (("format_version",), "2"),
        (("format_version",), ...),
    ],
)
def test_a_key_that_is_missing_or_of_another_type_is_named(study, keys, to):
    (study.directory / MANIFEST).write_text(json.dumps(changed(study.manifest, *keys, to=to)))
    with pytest.raises(DamagedFileError, match=r"study\.json is damaged \(.*\): restore it") as error:
        read_manifest(study.directory)
    assert keys[-1] in str(error.value)


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_a_manifest_that_was_cut_off_is_named(study, share):
    path = study.directory / MANIFEST
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DamagedFileError, match=r"study\.json is damaged"):
        read_manifest(study.directory)


def test_another_version_says_so_rather_than_damaged(study):
    (study.directory / MANIFEST).write_text(json.dumps({"format_version": 9}))
    with pytest.raises(UserError, match="has format version 9, but this version of SegVote reads 2"):
        read_manifest(study.directory)
