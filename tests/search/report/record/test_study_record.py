"""A study's files as plain values."""

import dataclasses
import shlex

import pytest

from search.cli.commands import search_command
from search.report.record.spent import what_was_spent
from search.report.record.study_record import command_of, read_study_record
from search.study.settings import Settings
from search.study.space import make_space
from tests.search.report import made
from trainables.errors import UserError
from trainables.files import write_json


def test_a_record_says_what_the_files_say(ended):
    record = read_study_record(ended)
    assert [trial.number for trial in record.trials] == list(range(1, 41))
    files = ended.trial_files(record.best.number)
    scores = [one["holdout/miou"] for one in files.records()]
    assert record.best.best == max(scores) == max(trial.best for trial in record.scored)
    assert record.best.best_record["epoch"] == scores.index(max(scores)) + 1 == record.best.best_epoch
    assert record.best.name == f"night-{record.best.number:04d}"
    assert record.rungs == (1, 3)
    assert record.common_epoch == 1
    assert sorted(record.members.values()) == list(range(1, len(record.members) + 1))


def test_the_last_epoch_is_no_rung_since_no_trial_is_stopped_there(ended):
    epochs = read_study_record(ended).epochs
    settings = ended.manifest["settings"] | {"grace_period": epochs}
    record = read_study_record(dataclasses.replace(ended, manifest=ended.manifest | {"settings": settings}))
    assert (record.rungs, record.common_epoch) == ((), epochs)


def test_failed_trials_have_no_score_and_unfinished_ones_are_called_so(study):
    write_json(study.trial_files(1).suggestion, {"params": {"head": "unet"}, "sampled": {"head": "unet"}})
    study.trial_files(1).append_record({"epoch": 1, "holdout/miou": 0.4})
    assert read_study_record(study).trials[0].status == "unfinished"
    assert read_study_record(study).best.best == 0.4
    study.trial_files(1).write_verdict({"status": "failed", "epochs": 1, "failure": "nan"})
    assert read_study_record(study).best is None


def test_a_study_of_before_manifests_had_a_date_is_read(study):
    del study.manifest["created"]
    assert read_study_record(study).created == ""


def test_a_refit_selects_nothing(ended):
    settings = {key: value for key, value in ended.manifest["settings"].items() if key != "space"}
    manifest = ended.manifest | {"settings": settings | {"ensemble": "night"}, "refit": {"models": []}}
    record = read_study_record(dataclasses.replace(ended, manifest=manifest))
    assert read_study_record(ended).ensemble is not None
    assert (record.ensemble, record.is_refit, read_study_record(ended).is_refit) == (None, True, False)


def test_a_trial_is_compared_at_an_epoch_that_it_came_to(study):
    for number, scores in ((1, (0.1, 0.3, 0.2)), (2, (0.5,))):
        write_json(study.trial_files(number).suggestion, {"params": {}, "sampled": {}})
        for epoch, score in enumerate(scores, start=1):
            study.trial_files(number).append_record({"epoch": epoch, "holdout/miou": score})
    long, short = read_study_record(study).trials
    assert [long.best_until(epoch) for epoch in (0, 1, 2, 3)] == [None, 0.1, 0.3, 0.3]
    assert [short.best_until(epoch) for epoch in (1, 2)] == [0.5, None]


def test_what_only_some_trials_have_is_a_factor_and_what_all_share_is_none(study):
    made.make_grid(study, [{"loss": "ce", "lr": 0.1}, {"loss": "focal", "lr": 0.1}], lambda point: 0.5)
    assert read_study_record(study).factors == {"loss": ["ce", "focal"]}


def test_the_command_of_a_trial_gives_its_configuration(ended):
    """Typed again, the flags pin the space to exactly what the trial was given."""
    for files in ended.trials()[:10]:
        suggestion = files.read_suggestion()
        trial = read_study_record(ended).trials[files.number - 1]
        words = shlex.split(trial.command)
        assert words[:2] == ["segvote", "search"]
        flags = search_command.make_context("search", words[2:]).params
        settings = Settings(**{key: value for key, value in flags.items() if key not in ("list_spaces", "as_json")})
        params = make_space(settings).first()
        given = {key: value for key, value in suggestion["params"].items() if key in params}
        made_here = ("epochs", "image_size", "pretrained")  # which these made studies have beside their space
        for key, value in given.items():
            if key not in made_here:
                assert params[key] == pytest.approx(value), key


def test_a_command_has_the_studys_flags_and_pins():
    settings = {"space": "quickstart", "data": "/d x", "epochs": 3, "pretrained": False, "fix": ["dropout=0.2"]}
    command = command_of(settings, {"head": "unet", "epochs": 3, "init_from": None})
    assert command == (
        "segvote search --trials 1 --space quickstart --data '/d x' --epochs 3 --no-pretrained --fix dropout=0.2 "
        "--fix head=unet"
    )


def test_what_stopping_early_saved_goes_by_each_trials_own_pace(study):
    write_json(study.trial_files(1).suggestion, {"params": {"epochs": 10}, "sampled": {}})
    write_json(study.trial_files(2).suggestion, {"params": {"epochs": 10}, "sampled": {}})
    for number, epochs, status in ((1, 10, "completed"), (2, 2, "stopped")):
        for epoch in range(1, epochs + 1):
            study.trial_files(number).append_record({"epoch": epoch, "holdout/miou": 0.1, "epoch_s": 360 * number})
        study.trial_files(number).write_verdict({"status": status, "epochs": epochs, "failure": None})
    spent = what_was_spent(read_study_record(study), gpus_per_trial=2)
    assert (spent.epochs, spent.full_epochs) == (12, 20)
    assert spent.hours == pytest.approx(1.4)
    assert spent.full_hours == pytest.approx(3.0)
    assert spent.gpu_hours == pytest.approx(2.8)
    assert spent.saved == pytest.approx(1 - 1.4 / 3)


def test_a_damaged_file_is_named(study):
    write_json(study.trial_files(1).suggestion, {"sampled": {}})
    with pytest.raises(UserError, match=r"suggestion\.json is damaged"):
        read_study_record(study)
