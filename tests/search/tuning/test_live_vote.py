"""The vote while a search runs, on made up class maps of a study on disk."""

import dataclasses

import numpy as np
import pytest

from ensembling import read_predictions, select_ensemble, write_predictions
from search.study.trial_end import holdout_masks, write_target
from search.tuning import live_vote
from search.tuning.live_vote import LiveVote
from trainables.files import write_json


@pytest.fixture
def target(study):
    packed = study.data.open((32, 48))
    write_target(study, packed, holdout_masks(study, packed))
    return read_predictions(study.target_file)


def end_trial(study, target, number, epochs=3, wrong=0.2, failed=False):
    """Files of a trial that ended; returns its class maps."""
    files = study.trial_files(number)
    write_json(files.suggestion, {"number": number, "params": {}})
    rng = np.random.default_rng(number)
    pixels = np.where(rng.random(target.pixels.size) < wrong, rng.integers(0, 3, target.pixels.size), target.pixels)
    for epoch in range(1, epochs + 1):
        files.append_record({"epoch": epoch, "holdout/miou": 1 - wrong})
    if not failed:
        write_predictions(files.predictions, dataclasses.replace(target, pixels=pixels.astype(np.uint8)))
    write_json(files.verdict, {"status": "failed" if failed else "completed", "epochs": epochs, "failure": None})
    return pixels.astype(np.uint8)


def expected(target, *rows):
    return {"vote_miou": select_ensemble(np.stack(rows), target.pixels, 3).miou}


def test_each_end_of_a_trial_adds_its_vote(study, target):
    vote = LiveVote(study, last_rung=3)
    rows = []
    for number in range(1, 5):
        rows.append(end_trial(study, target, number))
        metrics = vote.metrics_after(number)
        assert metrics == expected(target, *rows)
    assert metrics["vote_miou"] > expected(target, rows[0])["vote_miou"] + 0.05


def test_trials_stopped_early_vote_until_one_has_come_far_and_where_they_are_as_good(study, target):
    vote = LiveVote(study, last_rung=3)
    early = end_trial(study, target, 1, epochs=1, wrong=0.4)
    assert vote.metrics_after(1) == expected(target, early)
    far = end_trial(study, target, 2, epochs=3, wrong=0.3)
    assert vote.metrics_after(2) == expected(target, far)
    promising = end_trial(study, target, 3, epochs=1, wrong=0.2)
    assert vote.metrics_after(3) == expected(target, far, promising), "it is better than the one that came far"


def test_a_resumed_study_begins_with_the_trials_it_has(study, target):
    rows = [end_trial(study, target, number) for number in (1, 2, 3)]
    end_trial(study, target, 4, failed=True)
    assert LiveVote(study, last_rung=3).metrics_after(4) == expected(target, *rows)


def test_a_failed_trial_changes_nothing(study, target):
    vote = LiveVote(study, last_rung=3)
    end_trial(study, target, 1, failed=True)
    assert vote.metrics_after(1) == {}


def test_the_vote_keeps_to_what_the_studys_own_will_keep_to(study, target):
    early = end_trial(study, target, 1, epochs=1)
    rows = [early, *(end_trial(study, target, number) for number in (2, 3, 4))]
    assert LiveVote(study, last_rung=3, include_stopped=True).metrics_after(4) == expected(target, *rows)
    two = select_ensemble(np.stack(rows[1:]), target.pixels, 3, max_members=2).miou
    assert LiveVote(study, last_rung=3, max_members=2).metrics_after(4) == {"vote_miou": two}
    assert two < expected(target, *rows[1:])["vote_miou"]


def test_a_trial_that_failed_after_it_was_cut_off_has_no_voice(study, target):
    row = end_trial(study, target, 1, wrong=0.4)
    end_trial(study, target, 2, wrong=0.1)
    write_json(study.trial_files(2).verdict, {"status": "failed", "epochs": 3, "failure": "diverged"})
    assert LiveVote(study, last_rung=3).metrics_after(2) == expected(target, row)


def test_a_damaged_file_costs_its_own_trial_the_voice_alone(study, target, caplog):
    vote = LiveVote(study, last_rung=3)
    rows = [end_trial(study, target, 1)]
    end_trial(study, target, 2)
    file = study.trial_files(2).predictions
    file.write_bytes(file.read_bytes()[:-1])
    assert vote.metrics_after(2) == expected(target, *rows)
    assert "vote_miou goes without trial 2" in caplog.text
    rows.append(end_trial(study, target, 3))
    assert vote.metrics_after(3) == expected(target, *rows)


def test_the_worst_of_too_many_leaves_and_large_holdouts_are_sampled(study, target, monkeypatch):
    monkeypatch.setattr(live_vote, "MOST_TRIALS", 3)
    monkeypatch.setattr(live_vote, "MOST_PIXELS", 1000)
    vote = LiveVote(study, last_rung=3)
    rows = {}
    for number, wrong in ((1, 0.2), (2, 0.5), (3, 0.3), (4, 0.1)):
        rows[number] = end_trial(study, target, number, wrong=wrong)
    stride = -(-target.pixels.size // 1000)
    assert stride > 1
    kept = np.stack([rows[number][::stride] for number in (1, 3, 4)])
    assert vote.metrics_after(4) == {"vote_miou": select_ensemble(kept, target.pixels[::stride], 3).miou}


def test_where_stopped_trials_may_vote_the_worst_leaves_however_far_it_came(study, target, monkeypatch):
    monkeypatch.setattr(live_vote, "MOST_TRIALS", 2)
    vote = LiveVote(study, last_rung=3, include_stopped=True)
    kept = [end_trial(study, target, 1, epochs=1, wrong=0.1), end_trial(study, target, 2, epochs=1, wrong=0.2)]
    end_trial(study, target, 3, epochs=3, wrong=0.5)
    assert vote.metrics_after(3) == expected(target, *kept)


def test_in_a_refit_nobody_is_chosen(study, target):
    end_trial(study, target, 1)
    refit = dataclasses.replace(study, data=dataclasses.replace(study.data, keep_last=True))
    assert LiveVote(refit, last_rung=3).metrics_after(1) == {}


def test_one_more_trial_costs_reading_its_own_files_alone(study, target, monkeypatch):
    vote, read = LiveVote(study, last_rung=3), []
    monkeypatch.setattr(live_vote, "read_predictions", lambda path: read.append(path) or read_predictions(path))
    rows = [end_trial(study, target, number) for number in (1, 2)]
    vote.metrics_after(2)
    rows.append(end_trial(study, target, 3))
    read.clear()
    assert vote.metrics_after(3) == expected(target, *rows)
    assert read == [study.trial_files(3).predictions]


def test_many_trials_are_compared_on_fewer_pixels(study, target, monkeypatch):
    """Twice as many may be compared on a quarter of the pixels."""
    compared = []

    def select(rows, target, *rest, **options):
        compared.append((len(rows), len(target)))
        return select_ensemble(rows, target, *rest, **options)

    monkeypatch.setattr(live_vote, "select_ensemble", select)
    monkeypatch.setattr(live_vote, "MOST_WORK", target.pixels.size * 2**2)
    vote = LiveVote(study, last_rung=3)
    for number in (1, 2, 3, 4):
        end_trial(study, target, number)
        vote.metrics_after(number)
    size = target.pixels.size
    assert compared == [(1, size), (2, size), (3, -(-size // 3)), (4, -(-size // 4))]


def test_members_are_not_chosen_anew_where_a_trial_ended_that_cannot_vote(study, target, monkeypatch):
    """Most trials are stopped early, and those that are paused end all at once."""
    vote = LiveVote(study, last_rung=3)
    end_trial(study, target, 1)
    before = vote.metrics_after(1)
    monkeypatch.setattr(live_vote, "select_ensemble", None)
    end_trial(study, target, 2, epochs=1, wrong=0.4)
    assert vote.metrics_after(2) == before
