"""`segvote ensemble`, on studies in a real store of MLflow whose trials' class maps are made up."""

import dataclasses
import json
import shlex
import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from mlflow.exceptions import MlflowException

from ensembling import Predictions, hard_vote, memory_budget, read_predictions, write_predictions
from ensembling.memory_budget import mapped
from ensembling.scores import confusion_matrix, miou
from search.cli import main
from search.tracking.store import connect, default_tracking_uri
from search.tracking.tracker import PREDICTIONS, Tracker
from tests.integration.recount import Recount, missing

CLASSES = ("Background", "Paper", "Glass", "Metal", "Plastic")
IMAGES, HEIGHT, WIDTH = 30, 12, 16


def made_target(images=IMAGES, fingerprint="holdout-1", classes=CLASSES):
    """Masks of two rectangles each; a tenth of the pixels is ignored. Images 0 to 9 are groups of two."""
    rng = np.random.default_rng(0)
    masks = np.zeros((images, HEIGHT, WIDTH), np.uint8)
    for mask in masks:
        for _ in range(2):
            top, left = rng.integers(0, HEIGHT - 4), rng.integers(0, WIDTH - 4)
            mask[top : top + 8, left : left + 8] = rng.integers(1, 5)
    masks[rng.random(masks.shape) < 0.1] = 255
    numbers = [number * 7 % images for number in range(images)]
    ids = tuple(f"{number:03d}.jpg" for number in numbers)
    groups = tuple(number // 2 if number < 10 else number for number in numbers)
    return Predictions(ids, ((HEIGHT, WIDTH),) * images, classes, fingerprint, masks.reshape(-1), groups=groups)


def made_trial(target, family, seed):
    """Class maps that share a family's mistakes and have some of their own."""
    rows = target.pixels.copy()
    rows[rows == 255] = 0
    for rng, share in ((np.random.default_rng(family), 0.12), (np.random.default_rng(1000 + seed), 0.12)):
        wrong = rng.random(rows.size) < share
        rows[wrong] = rng.integers(0, len(target.class_names), wrong.sum())
    return dataclasses.replace(target, pixels=rows.astype(np.uint8))


@dataclass
class Store:
    """A runs directory with studies in it, and the command line on it."""

    runs: Path
    studies: dict[str, str] = field(default_factory=dict)  # ids by name

    def add_study(self, name, target, trials, stopped=(), family=0, head="fpn", **params):
        """A study whose trial n has seed n; those in `stopped` did not reach the last rung."""
        tracker = Tracker(*connect(default_tracking_uri(self.runs), self.runs), name, study_id=uuid.uuid4().hex)
        directory = self.runs / name
        directory.mkdir(exist_ok=True)
        write_predictions(directory / "holdout.target", target)
        tracker.describe_study({"space": head, **params}, [directory / "holdout.target"])
        for number in trials:
            self.add_trial(tracker, number, made_trial(target, family, number), number not in stopped, head)
        tracker.end_study()
        self.studies[name] = tracker.study_id

    def add_trial(self, tracker, number, predictions, far, head="fpn"):
        path = self.runs / tracker.study_name / "holdout.predictions"
        write_predictions(path, predictions)
        tracker.start_trial(number, {"head": head, "backbone": "resnet18", "loss": "ce", "lr": 0.001 * number})
        tags = {"segvote.status": "completed" if far else "stopped", "segvote.candidate": str(far).lower()}
        tracker.end_trial(number, "FINISHED", tags, {path: PREDICTIONS})

    def vote(self, *arguments, name="ours"):
        """Runs the command; returns its exit code and what ensemble.json holds."""
        code = main(["ensemble", *arguments, "--name", name, "--runs-dir", str(self.runs)])
        path = self.runs / "ensembles" / name / "ensemble.json"
        return code, json.loads(path.read_text()) if path.exists() else None

    @property
    def client(self):
        return connect(default_tracking_uri(self.runs), self.runs)


def made_store(directory, empty_store):
    """Two studies: it takes ten seconds, so that tests that change nothing of it share one."""
    (directory / "runs").mkdir()
    shutil.copy(empty_store, directory / "runs" / "mlflow.db")
    made = Store(directory / "runs")
    made.add_study("cnn", made_target(), trials=range(1, 7), stopped=(6,))
    made.add_study("swin", made_target(), trials=range(11, 15), family=1, head="upernet")
    return made


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "180")


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory, empty_store):
    return made_store(tmp_path_factory.mktemp("shared"), empty_store)


@pytest.fixture
def store(tmp_path, empty_store):
    return made_store(tmp_path, empty_store)


def test_machines_are_told_what_people_see(shared_store, capsys):
    code, ensemble = shared_store.vote("--studies", "cnn", "--json", name="told")
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert code == 0
    assert told.pop("recommendation")
    assert told == ensemble
    assert "Candidates: 5" in said.err


def figures(ensemble):
    """What a rebuilt ensemble must have in common."""
    return {key: value for key, value in ensemble.items() if key != "command"}


def test_every_figure_on_screen_is_recounted_and_the_command_rebuilds_it(store, capsys):
    """One ensemble, looked at from all sides: a store is half a minute in the making."""
    code, ensemble = store.vote("--studies", "cnn", "swin", "--max-members", "6", "--seed", "3")
    screen = capsys.readouterr().out
    assert code == 0
    client, experiment = store.client
    trials = client.search_runs([experiment], "tags.`segvote.kind` = 'trial' and tags.`segvote.candidate` = 'true'")
    names = {run.info.run_id: run.info.run_name for run in trials}
    assert len(names) == 9
    maps = {}
    for run_id in sorted(names):
        directory = Path(client.download_artifacts(run_id, PREDICTIONS))
        maps[run_id] = read_predictions(next(directory.iterdir())).pixels
    target = made_target()
    groups = [f"{int(name[:3]) // 2 * 2:03d}.jpg" if name < "010.jpg" else name for name in target.image_ids]
    group_of_pixel = np.repeat(groups, HEIGHT * WIDTH).tolist()
    recount = Recount(maps, target.pixels, group_of_pixel, len(CLASSES), max_members=6, seed=3)
    assert 3 <= len(recount.members) <= 6  # otherwise there is little to see
    assert {name.split("-")[0] for name in (names[run] for run in recount.members)} == {"cnn", "swin"}
    assert [member["run_id"] for member in ensemble["members"]] == recount.members
    assert missing(recount.rows(names), screen) == []
    assert [words for words in recount.words(CLASSES) if words not in " ".join(screen.split())] == []
    assert "only 25 groups of images, fewer than 50" in screen
    where = {name: fold for fold, its in enumerate(ensemble["crossfit_folds"]) for name in its["images"]}
    assert len(where) == IMAGES
    assert all(where[f"{number:03d}.jpg"] == where[f"{number + 1:03d}.jpg"] for number in range(0, 10, 2))
    for rank, run_id in enumerate(recount.ranking, start=1):
        assert f"{rank} │ {names[run_id]}" in screen
    topk = [recount.miou(recount.ranking[:k], recount.everywhere) for k in range(1, 10)]
    assert ensemble["topk_miou"] == pytest.approx(topk, abs=1e-12)

    run = next(r for r in client.search_runs([experiment]) if r.info.run_name == "ours")
    assert run.data.tags["segvote.kind"] == "ensemble"
    assert run.data.metrics["crossfit/miou"] == ensemble["crossfit_miou"]
    assert run.data.metrics["gains/best_single"] == ensemble["gains"]["best_single"]["value"]
    history = client.get_metric_history(run.info.run_id, "topk/miou")
    assert [(metric.step, metric.value) for metric in history] == list(enumerate(ensemble["topk_miou"], start=1))
    artifacts = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert artifacts == {"ensemble.json", "ensemble.png", "diversity.png"}

    # The command that is shown gives the same ensemble, also when the studies have gone on.
    tracker = Tracker(client, experiment, "cnn", store.studies["cnn"])
    store.add_trial(tracker, 7, made_trial(target, 0, 7), far=True)
    assert len(store.vote("--studies", "cnn", "swin", name="later")[1]["candidates"]) == 10
    assert ensemble["command"] in screen
    start, *arguments = shlex.split(ensemble["command"])[1:]
    assert start == "ensemble"
    assert main(["ensemble", *arguments, "--name", "again"]) == 0
    again = json.loads((store.runs / "ensembles" / "again" / "ensemble.json").read_text())
    assert again == ensemble


def test_filters_choose_the_candidates(shared_store, capsys):
    def names(*arguments, name):
        code, ensemble = shared_store.vote(*arguments, name=name)
        assert code == 0, capsys.readouterr().err
        return [one["name"] for one in ensemble["candidates"]]

    everybody = names("--studies", "cnn", "swin", "--all-candidates", name="all")
    assert len(everybody) == 10
    where = "params.head = 'upernet' and attributes.run_name != 'swin-0012'"
    assert sorted(names("--studies", "cnn", "swin", "--where", where, name="where")) == [
        "swin-0011",
        "swin-0013",
        "swin-0014",
    ]
    _, ensemble = shared_store.vote("--studies", "cnn", "swin", name="scores")
    third = ensemble["candidates"][2]["miou"]
    assert names("--studies", "cnn", "swin", "--min-miou", str(third), name="best") == [
        one["name"] for one in ensemble["candidates"][:3]
    ]
    _, with_worst = shared_store.vote(
        "--studies", "cnn", "swin", "--must-include", ensemble["candidates"][-1]["name"], name="must"
    )
    assert ensemble["candidates"][-1]["run_id"] in [member["run_id"] for member in with_worst["members"]]


def test_what_cannot_be_mixed_or_found_is_said(store, capsys, monkeypatch):
    store.add_study("other", made_target(fingerprint="holdout-2"), trials=[1])
    classes = ("Background", "Paper", "Glass", "Metal", "Wood")
    store.add_study("wood", made_target(classes=classes), trials=[1])
    store.add_study("empty", made_target(), trials=[])

    def said(*arguments):
        assert store.vote(*arguments, name="wrong") == (2, None)
        error = capsys.readouterr().err
        assert "Traceback" not in error
        return error

    error = said("--studies", "cnn", "nights")
    assert "unknown study nights; in --runs-dir" in error
    assert "there are cnn, empty, other, swin, wood" in error
    assert "no study is named; in --runs-dir" in said()
    error = said("--studies", "cnn", "other")
    assert "study cnn and that of study other differ in their holdout's photos or labels" in error
    assert "'holdout-1' against 'holdout-2'" in error
    error = said("--studies", "swin", "wood")
    assert "study swin and that of study wood differ in class names" in error
    assert "'Plastic' against 'Wood'" in error
    assert "no trial of empty has predictions: wait for one" in said("--studies", "empty")
    assert "no trial of cnn has predictions and passes --min-miou 0.99" in said(
        "--studies", "cnn", "--min-miou", "0.99"
    )
    error = said("--studies", "cnn", "--where", "params.heads = 'fpn'")
    assert "no trial has a parameter heads (did you mean head?)" in error
    assert "no trial of cnn has predictions and passes --where" in said(
        "--studies", "cnn", "--where", "params.head = 'unet' and metrics.`train/loss` < 1"
    )
    error = said("--studies", "cnn", "--where", "head is fpn")
    assert "--where 'head is fpn' is no filter that MLflow understands" in error
    assert "predictions" not in error
    monkeypatch.setattr(
        "search.commands.ensemble.command.with_views", lambda *_: pytest.fail("predicted before it was checked")
    )
    nobody = ("--must-include", "cnn-0009", "--tta", "flip")
    assert "run cnn-0009 is no candidate; candidates are cnn-0001" in said("--studies", "cnn", *nobody)
    two = ("--must-include", "cnn-0001", "cnn-0002")
    assert "name 2 candidates, but max_members is 1" in said("--studies", "cnn", "--max-members", "1", *two)
    error = said("--studies", "cnn", "--mode", "exhaustive", "--start", "cnn-0001")
    assert "leave start out, or use must_include" in error
    assert "--data says where --tta and --window find" in said("--studies", "cnn", "--data", str(store.runs))
    missing_store = f"sqlite:///{store.runs / 'no.db'}"
    assert "no.db: run a search first" in said("--studies", "cnn", "--tracking-uri", missing_store)
    assert not (store.runs / "no.db").exists()
    in_a_file = str(store.runs / "mlflow.db" / "below")
    assert "a file is in its place: choose another --out" in said("--studies", "cnn", "--out", in_a_file)
    store.add_study("empty", made_target(), trials=[])
    assert "2 studies are named empty: give the id of one's run" in said("--studies", "empty")
    assert not (store.runs / "ensembles" / "wrong").exists()
    assert store.vote("--studies", "cnn", name="taken")[0] == 0
    assert main(["ensemble", "--studies", "cnn", "--name", "taken", "--runs-dir", str(store.runs)]) == 2
    assert "choose another --name or --out" in capsys.readouterr().err


def test_trials_of_other_training_labels_vote_together_only_if_asked(store, capsys):
    """A search on corrected labels logs edits_fingerprint; the labels of the holdout are the same."""
    store.add_study("edited", made_target(), trials=[1, 2], family=3, edits_fingerprint="beef")
    assert store.vote("--studies", "cnn", "edited", name="mixed") == (2, None)
    error = capsys.readouterr().err
    assert "cnn with none and edited with the edits beef" in error
    assert "say --mixed-edits" in error
    code, ensemble = store.vote("--studies", "cnn", "edited", "--mixed-edits", name="mixed")
    assert code == 0
    assert {one["study"] for one in ensemble["candidates"]} == {"cnn", "edited"}
    assert "--mixed-edits" in ensemble["command"]
    store.add_study("same", made_target(), trials=[1], family=4, edits_fingerprint="beef")
    assert store.vote("--studies", "edited", "same", name="same")[0] == 0


def test_an_edited_holdout_is_never_mixed_with_another(store, capsys):
    edited = dataclasses.replace(made_target(), edits="beef")
    store.add_study("edited", edited, trials=[1], edits_fingerprint="beef")
    assert store.vote("--studies", "cnn", "edited", "--mixed-edits", name="mixed") == (2, None)
    assert "differ in the edits of their holdout's labels" in capsys.readouterr().err


def test_studies_that_found_other_scenes_vote_together(store, capsys):
    """A study of before scenes were looked for has no groups: photos that either keeps together stay together."""
    old = dataclasses.replace(made_target(), groups=())
    store.add_study("old", old, trials=[1, 2], family=5)
    code, ensemble = store.vote("--studies", "old", "cnn", name="both")
    assert code == 0
    assert ensemble["holdout_groups"] == len(made_target().grouped_ids()) < len(old.grouped_ids())
    assert "found different scenes in the holdout" in capsys.readouterr().out


def test_a_run_whose_predictions_are_lost_does_not_vote_and_is_named(store):
    code, before = store.vote("--studies", "cnn", name="before")
    client, _ = store.client
    best = before["members"][0]["run_id"]
    lost = client.get_run(best).info
    shutil.rmtree(Path(lost.artifact_uri.removeprefix("file://")) / PREDICTIONS)
    code, after = store.vote("--studies", "cnn", name="after")
    assert code == 0
    assert [f"{lost.run_name} does not vote" in words for words in after["left_out"]] == [True]
    voters = {candidate["run_id"] for candidate in before["candidates"]}
    assert {candidate["run_id"] for candidate in after["candidates"]} == voters - {best}


def test_a_run_that_was_killed_and_goes_on_does_not_vote_until_it_ends(store):
    client, experiment = store.client
    run = next(r for r in client.search_runs([experiment]) if r.info.run_name == "cnn-0001")
    client.set_tag(run.info.run_id, "segvote.status", "killed")
    client.set_terminated(run.info.run_id, "KILLED")
    assert "cnn-0001" in [one["name"] for one in store.vote("--studies", "cnn", name="killed")[1]["candidates"]]
    client.update_run(run.info.run_id, status="RUNNING")
    assert "cnn-0001" not in [one["name"] for one in store.vote("--studies", "cnn", name="goes-on")[1]["candidates"]]


def test_a_damaged_predictions_file_is_named(store, capsys):
    client, experiment = store.client
    run = client.search_runs([experiment], "tags.`segvote.kind` = 'trial'")[0]
    path = Path(run.info.artifact_uri.removeprefix("file://")) / PREDICTIONS / "holdout.predictions"
    path.write_bytes(path.read_bytes()[:-1])
    code, _ = store.vote("--studies", "cnn", "swin", "--all-candidates")
    assert code == 2
    error = capsys.readouterr().err
    assert f"run {run.info.run_name} ({run.info.run_id}): its artifact" in error
    assert "holdout.predictions" in error


def test_every_mode_says_what_its_members_score(shared_store):
    """The vote with all its weights, recounted by hard_vote; a study that is named twice votes once."""
    client, experiment = shared_store.client
    parent = client.search_runs([experiment], "tags.`segvote.kind` = 'study' and tags.`segvote.study` = 'cnn'")[0]
    target = made_target()
    for mode in ("swap", "bagged_images", "replacement"):
        flags = ("--studies", "cnn", parent.info.run_id, "swin", "--mode", mode, "--start", "cnn-0001")
        code, ensemble = shared_store.vote(*flags, name=mode)
        assert (code, len(ensemble["candidates"])) == (0, 9)
        members, votes = ensemble["members"], [one["votes"] for one in ensemble["members"]]
        maps = [made_trial(target, int(one["study"] == "swin"), one["trial"]).pixels for one in members]
        vote = hard_vote(np.repeat(maps, votes, axis=0), len(CLASSES))
        assert ensemble["miou"] == pytest.approx(miou(confusion_matrix(vote, target.pixels, len(CLASSES))), abs=1e-12)
        assert 0 < ensemble["crossfit_miou"] < 1
        assert mode == "swap" or "cnn-0001" in [one["name"] for one in members]
        assert (max(votes) > 1) == (mode != "swap")


def test_pools_with_and_without_pseudo_labels_are_compared(shared_store, capsys):
    target = made_target()
    shared_store.add_study("alike", target, trials=(41, 42), family=3, pseudo="P")
    code, ensemble = shared_store.vote("--studies", "cnn", "alike")
    assert code == 0
    one, other = (made_trial(target, 3, number).pixels for number in (41, 42))
    share = (one != other)[target.pixels != 255].mean()
    assert ensemble["pool_diversity"]["with"] == {"candidates": 2, "disagreement": pytest.approx(share)}
    assert ensemble["pool_diversity"]["without"]["candidates"] == 5
    said = " ".join(capsys.readouterr().out.split())
    assert f"{100 * share:.2f} % of pixels if trained with pseudo-labels (2 runs)" in said
    assert shared_store.vote("--studies", "cnn", name="no-pseudo")[1]["pool_diversity"] is None


def test_a_shortlist_within_bounds_of_memory(shared_store, capsys, monkeypatch):
    """The bound is set to what leaves next to nothing: class maps and tables are in files, and the result the same."""
    code, plain = shared_store.vote("--studies", "cnn", "swin", "--max-members", "3", "--shortlist", "5", name="plain")
    assert code == 0
    assert "the 5 most promising of 9 candidates" in " ".join(capsys.readouterr().out.split())
    assert len(plain["candidates"]) == len(plain["topk_miou"]) == 9
    in_files = []
    monkeypatch.setattr(memory_budget, "mapped", lambda array: in_files.append(array.nbytes) or mapped(array))
    flags = ("--studies", "cnn", "swin", "--max-members", "3", "--shortlist", "5", "--threads", "2")
    pixels = IMAGES * HEIGHT * WIDTH
    code, bounded = shared_store.vote(*flags, "--memory", str((2**29 + (6 + 2) * pixels) / 2**30), name="bounded")
    assert code == 0
    assert in_files[:8] == 8 * [pixels]  # all class maps but the first, and then parts of tables
    assert bounded == plain
    assert shared_store.vote(*flags, "--memory", "0.5", name="none") == (2, None)
    assert "--memory 0.5: the holdout's 5,760 pixels take 0.5 GiB" in capsys.readouterr().err


def test_an_ensemble_is_kept_and_shown_where_its_plots_and_mlflow_fail(shared_store, capsys, monkeypatch):
    def fail(*_):
        raise MlflowException("the server is away")

    monkeypatch.setattr("search.commands.ensemble.command.plot_ensemble", lambda *_: {}["no such colour"])
    monkeypatch.setattr("search.commands.ensemble.command.log_ensemble", fail)
    code, ensemble = shared_store.vote("--studies", "cnn", name="kept")
    directory, said = shared_store.runs / "ensembles" / "kept", capsys.readouterr().out
    assert (code, bool(ensemble["members"])) == (0, True)
    assert f"ensemble  {directory / 'ensemble.json'}" in said
    assert "The plots could not be drawn, because of a fault" in said
    assert (
        "The ensemble could not be logged to MLflow (the server is away). The vote is not affected; try again" in said
    )
    assert "KeyError: 'no such colour'" in (directory / "errors.txt").read_text()
