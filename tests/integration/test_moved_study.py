"""A runs directory that was copied elsewhere, its study renamed, and the original hidden: the copy is whole.

Each command is a process of its own, as it is for a user.
"""

import dataclasses
import json
import os
import shutil
import signal

from search.tracking.store import default_tracking_uri, find_experiment

SMALL = ("--concurrency", "1", "--cpus-per-trial", "1")
ALL_TO_THEIR_END = ("--grace-period", "3")


def test_a_study_that_was_killed_and_copied_goes_on_votes_is_refitted_exported_and_predicts(line, wait_for):
    there = dataclasses.replace(line, directory=line.directory.with_name("there"))
    here, photos = line.directory, line.directory / "photos"
    shutil.copytree(line.data, photos)
    store = f"sqlite:///{line.runs / 'mlflow.db'}"  # typed, so that the study remembers it
    typed = ["--space", line.small_space(epochs=3), "--data", str(photos), "--name", "before"]
    typed += ["--trials", "2", "--folds", "2", *ALL_TO_THEIR_END]
    search = line.start(*typed, *SMALL, "--tracking-uri", store)
    wait_for(lambda: len(line.records("before", 2)) == 1, search)
    os.kill(search.pid, signal.SIGKILL)
    search.wait()
    for moved in ("runs", "photos"):
        shutil.copytree(here / moved, there.directory / moved, ignore=shutil.ignore_patterns("*.tmp"))
    here.rename(here.with_name("hidden"))
    (there.runs / "before").rename(there.runs / "after")

    def works(command, *arguments):
        assert there.run(*arguments, command=command) == 0, there.output()
        assert not here.exists(), f"{command} has written where the study was before"

    works("search", "--resume", "--name", "after", "--trials", "3")
    assert [len(there.records("after", number)) for number in (1, 2, 3)] == [3, 3, 3]
    ensemble = json.loads((there.runs / "after" / "ensemble.json").read_text())
    assert {one["trial"] for one in ensemble["candidates"]} == {1, 2, 3}
    works("ensemble", "--studies", "after", "--name", "typed", "--tracking-uri", "sqlite:///runs/mlflow.db")
    works("refit", "--ensemble", "typed", "--name", "again", *SMALL)
    works("export", "--ensemble", "before", "--name", "kept")
    assert (there.runs / "exported" / "kept" / "ensemble.json").is_file()
    for reference in ("before-0002", "again", "kept"):
        works("predict", "--ensemble", reference, "--images", "photos/test.json", "--out", reference)
        assert (there.directory / reference / "submission.csv").is_file()


def test_one_process_that_sees_original_and_copy_writes_to_the_copy(line, tmp_path):
    """MLflow remembers, by the id of a run, where it wrote artifacts first."""
    (tmp_path / "note.txt").write_text("x")
    client, _ = find_experiment(default_tracking_uri(line.runs), line.runs)
    experiment = client.create_experiment("segvote", artifact_location=(line.runs / "artifacts").as_uri())
    run = client.create_run(experiment).info.run_id
    client.log_artifact(run, str(tmp_path / "note.txt"), "first")
    there = tmp_path / "there"
    shutil.copytree(line.runs, there)
    line.runs.rename(tmp_path / "hidden")
    client, _ = find_experiment(default_tracking_uri(there), there)
    client.log_artifact(run, str(tmp_path / "note.txt"), "second")
    assert not line.runs.exists()
    assert [one.path for one in client.list_artifacts(run)] == ["first", "second"]
