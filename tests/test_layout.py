"""What each package may import, seen from fresh interpreters and in the source, and the size of folders."""

import ast
import json
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("search", "spaces", "trainables", "ensembling")
MOST_ENTRIES = 16  # of a folder; __init__.py counts
ONE_FILE_EACH = ("trainables/models/heads",)  # folders with a file for each thing of a kind, however many there are
READS_RUNS_OR_MODELS = ("ensembling.runs", "ensembling.predict", "ensembling.export")  # MLflow's runs, models
PROBE = """
import importlib, json, sys
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def modules(package):
    paths = sorted((ROOT / package).rglob("*.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    assert names
    return names


@cache
def imported(*names):
    """Top-level names in sys.modules of a new interpreter that imported the modules."""
    run = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(names)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(json.loads(run.stdout.splitlines()[-1]))


def spaces():
    return imported(*modules("spaces"))


def trainables():
    return imported(*[name for name in modules("trainables") if name != "trainables.ray_trainable"])


def core_of_ensembling():
    return imported(*[name for name in modules("ensembling") if not name.startswith(READS_RUNS_OR_MODELS)])


@pytest.mark.parametrize("foreign", ["ray", "torch", "mlflow", "optuna", "search", "trainables", "ensembling"])
def test_spaces_are_plain_files(foreign):
    assert foreign not in spaces()


@pytest.mark.parametrize("foreign", ["ray", "mlflow", "optuna", "search", "spaces", "ensembling"])
def test_training_knows_nothing_of_the_search(foreign):
    assert foreign not in trainables()


@pytest.mark.parametrize("foreign", ["ray", "torch", "mlflow", "sklearn", "search", "spaces", "trainables"])
def test_the_core_of_ensembling_is_numpy_and_numba(foreign):
    assert foreign not in core_of_ensembling()


@pytest.mark.parametrize("foreign", ["ray", "torch", "mlflow"])
def test_help_does_not_wait_for_slow_libraries(foreign):
    assert foreign not in imported("search.cli", "search.run", "search.study.space")


def test_a_search_comes_to_its_first_trial_without_pytorch():
    """The trials' processes import it meanwhile: a search need not wait for it twice."""
    assert "torch" not in imported("search.run", "search.prepare", "search.search_steps", "search.tuning.tuner")


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_has_the_name_of_one_of_pythons_own(package):
    """`python search/run.py` puts search/ first on the path."""
    assert not {path.stem for path in (ROOT / package).rglob("*.py")} & (set(sys.stdlib_module_names) - {"__init__"})


def entries_of_folders():
    """Return the names in each folder that holds a module, by the folder's path below the root."""
    folders = {path.parent for top in (*PACKAGES, "tests") for path in (ROOT / top).rglob("*.py")}
    return {
        str(folder.relative_to(ROOT)): sorted(one.name for one in folder.iterdir() if one.name != "__pycache__")
        for folder in folders
    }


def test_a_folder_reads_as_its_list_of_concepts():
    """A folder whose list is longer than a glance holds more than one concept."""
    large = {
        folder: len(names)
        for folder, names in entries_of_folders().items()
        if len(names) > MOST_ENTRIES and folder not in ONE_FILE_EACH
    }
    assert not large, f"these folders have more than {MOST_ENTRIES} entries: {large}"


def imports_of(path):
    """(module, names) of each import statement of a file; names are empty for `import module`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield node.module, {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            yield from ((alias.name, set()) for alias in node.names)


def test_the_counting_engine_is_used_through_its_table_alone():
    outside = [
        path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.parent.name != "counting"
    ]
    for path in outside + list((ROOT / "tests" / "benchmarks").rglob("*.py")):
        for module, names in imports_of(path):
            if module == "ensembling.counting":
                assert names <= {"VoteTable", "build_table"}, path
                assert names, path
            assert not module.startswith("ensembling.counting."), path
            assert module != "ensembling" or "counting" not in names, path


def paths_of_modules():
    return {
        name: path
        for package in PACKAGES
        for name, path in zip(modules(package), sorted((ROOT / package).rglob("*.py")))
    }


def imports_between(paths):
    """Of each module, the project's modules that it imports anywhere: in functions and for type checkers, too."""
    return {
        importer: {
            found
            for module, names in imports_of(path)
            # `from package import name` means the module package.name where there is one, or the package itself.
            for found in ({f"{module}.{name}" if f"{module}.{name}" in paths else module for name in names} or {module})
            if found in paths and found != importer
        }
        for importer, path in paths.items()
    }


def cycle_in(imports):
    """Return the modules of one cycle in the order of their imports, the first one twice; none where there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return error.args[1][::-1]
    return []


def test_no_modules_import_each_other_in_a_circle():
    imports = imports_between(paths_of_modules())
    assert "trainables.files" in imports["ensembling.runs.ensemble"]
    found = cycle_in(imports)
    assert not found, f"these modules import each other in a circle: {' → '.join(found)}"


def test_a_circle_of_imports_is_found_in_functions_and_for_type_checkers(tmp_path):
    texts = {
        "some.one": "from some import two",
        "some.two": "def late():\n    from some.three import name\n",
        "some.three": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import some.one\n",
        "some.apart": "import some.one",
    }
    paths = {name: tmp_path / f"{name}.py" for name in texts}
    for name, path in paths.items():
        path.write_text(texts[name])
    found = cycle_in(imports_between(paths))
    assert found[0] == found[-1]
    assert set(found) == {"some.one", "some.two", "some.three"}
    assert all(imported in imports_between(paths)[importer] for importer, imported in pairwise(found))
