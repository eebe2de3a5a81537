"""Names that Ray, Optuna and MLflow keep to themselves are used nowhere: they change without notice."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PRIVATE = re.compile(r"\b(?:from|import)\s+(?:ray|optuna|mlflow)[\w.]*\._|\b(?:ray|optuna|mlflow)(?:\.\w+)*\._\w")
FILES = [path for folder in ("search", "spaces", "trainables", "ensembling") for path in (ROOT / folder).rglob("*.py")]


def test_the_pattern_finds_them():
    for line in ("from ray._private import worker", "ray._raylet.Config", "from optuna.storages._cached import X"):
        assert PRIVATE.search(line), line


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_private_name_of_a_library_is_used(path):
    assert not PRIVATE.findall(path.read_text())
