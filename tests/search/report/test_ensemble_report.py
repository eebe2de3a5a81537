"""What is said of an ensemble in words, and its tables. The figures themselves are recomputed elsewhere."""

import dataclasses
import io
import json

import pytest
from rich.console import Console

from ensembling.runs.ensemble import EnsembleRecord
from search.report.ensemble_plots import plot_ensemble
from search.report.ensemble_report import (
    headline,
    markdown,
    mean_of_others,
    show_candidates,
    show_ensemble,
    words_on_other_images,
)


def gain(value, error):
    return {"value": value, "standard_error": error, "low": value - 2 * error, "high": value + 2 * error}


def made(members=3, **changes):
    """An ensemble of three of thirty candidates on 200 images, which gains two points for sure."""
    rows = [
        {
            "rank": place + 1,
            "run_id": f"id{place}",
            "name": f"run-{place}",
            "study": "night",
            "trial": place + 1,
            "votes": 1,
            "miou": 0.6 - place / 100,
            "leave_one_out": 0.01 if members > 1 else None,
            "shapley": 0.62 / members,
            "shapley_error": 0.001,
            "params": {"head": "fpn[x]", "backbone": "resnet50", "loss": "ce"},
        }
        for place in range(members)
    ]
    matrix = [[0.0 if one == other else 0.2 for one in range(members)] for other in range(members)]
    candidates = [
        {"run_id": f"id{n}", "name": f"run-{n}", "study": "night", "trial": n + 1, "miou": 0.6 - n / 100}
        for n in range(30)
    ]
    values = {
        "class_names": ["Background", "Metal", "Paper [x]", "Battery", "Glass"],
        "holdout_images": 200,
        "holdout_groups": 200,
        "scenes": None,
        "classes": [
            {"name": "Background", "photos": 200, "scenes": 200, "iou": 0.9, "error_share": 0.3},
            {"name": "Battery [x]", "photos": 3, "scenes": 3, "iou": 0.4, "error_share": 0.7},
        ],
        "rare_photos": 10,
        "without_rare": None,
        "members": rows,
        "miou": 0.62,
        "iou": {"Background": 0.9, "Metal": 0.0, "Paper [x]": 0.96, "Battery": None, "Glass": 0.0},
        "miou_interval": gain(0.62, 0.01),
        "crossfit_miou": 0.615,
        "crossfit_interval": gain(0.615, 0.011),
        "optimism": 0.005,
        "gains": {"best_single": gain(0.02, 0.004), "top_k": gain(0.01, 0.002)},
        "crossfit_gains": {"best_single": gain(0.018, 0.004), "top_k": gain(0.008, 0.002)},
        "baselines": {"best_single": 0.6, "top_3": 0.61, "all": 0.605},
        "baseline_sizes": {"best_single": 1, "top_3": 3, "all": 30},
        "topk_miou": [0.6, 0.6, 0.61, 0.605],
        "path_miou": [0.6, 0.6, 0.62, 0.615],
        "candidates": candidates,
        "shortlist": None,
        "max_members": 15,
        "disagreement": matrix,
        "kappa": matrix,
        "double_fault": matrix,
        "command": "segvote ensemble --studies night",
    }
    return EnsembleRecord.from_json(json.dumps(values | changes))


CAMVID = {
    "training_scenes": 3,
    "training_photos": 367,
    "holdout_scenes": 1,
    "holdout_photos": 101,
    "shared_scenes": 1,
    "shared_photos": 101,
    "reasons": [["frames of a sequence", 468]],
}
NO_INTERVAL = {"value": 0.65, "standard_error": None, "low": None, "high": None}
ONE_SCENE = {
    "holdout_images": 101,
    "holdout_groups": 1,
    "scenes": CAMVID,
    "crossfit_miou": 0.65,
    "miou_interval": NO_INTERVAL,
    "crossfit_interval": NO_INTERVAL,
    "gains": {"best_single": NO_INTERVAL, "top_k": NO_INTERVAL},
    "crossfit_gains": {"best_single": NO_INTERVAL, "top_k": NO_INTERVAL},
}


def test_a_share_just_below_zero_is_shown_as_zero():
    classes = [{"name": "Battery", "photos": 3, "scenes": 3, "iou": 0.4, "error_share": share} for share in (-1e-3, 1)]
    text = shown(show_ensemble, made(classes=classes))
    rows = [line.split() for line in text.splitlines() if "Battery" in line and "0.4000" in line]
    assert [row[-2] if row[-1] in "│|" else row[-1] for row in rows] == ["0", "100"]


def test_a_holdout_of_one_scene_gives_no_interval():
    ensemble = made(**ONE_SCENE)
    words = words_on_other_images(ensemble)
    assert (
        "Expect about 0.650 on photos of the same scene; the holdout is one scene, so no interval can be given for "
        "other scenes" in words
    )
    assert "Whether the gain over the best single, +65.00 points, holds on other photos is not known." in words
    text = " ".join(shown(show_ensemble, ensemble).split())
    for part in ("101 of 101 holdout photos are from 1 sequence that training has, too", "holdout is one scene"):
        assert part in text
        assert part in markdown(ensemble)
    assert "±" not in words


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Expect about 0.615 ± 0.011 on new images of the same kind (95 %: 0.593 to 0.637): "),
        ({"scenes": CAMVID}, "Expect about 0.615 ± 0.011 on photos of the same scenes, of which training has some"),
        (
            {"crossfit_interval": NO_INTERVAL, "holdout_groups": 3},
            "0.615 on photos of 3 scenes like these; the holdout",
        ),
        (
            {"crossfit_interval": NO_INTERVAL, "holdout_groups": 3, "scenes": CAMVID},
            "0.615 on photos of the same 3 scenes; the holdout is 3 scenes, so no interval can be given for other",
        ),
        (
            {"crossfit_interval": NO_INTERVAL, "holdout_groups": 4, "holdout_images": 4},
            "Expect about 0.615; the holdout has 4 images, so no interval can be given",
        ),
    ],
)
def test_the_last_sentence_says_on_what_photos(changes, said):
    assert said in words_on_other_images(made(**changes))


RARE = {"classes": ["Battery [x]"], "miou_interval": gain(0.7, 0.008)}


def test_rare_classes_and_what_they_cause_are_named():
    both = {"best_single": gain(0.019, 0.003), "top_k": gain(0.009, 0.002)}
    words = words_on_other_images(made(without_rare=RARE | {"gains": both}))
    assert (
        "Fewer than 10 holdout photos have Battery [x] (3); it causes 70 % of the variance of the mIoU, which is "
        "0.700 ± 0.008 without it." in words
    )
    assert "from these classes alone" not in words


def test_a_gain_by_a_rare_class_alone_is_told_apart():
    gains = {"best_single": gain(0.001, 0.003), "top_k": gain(0.009, 0.002)}
    words = words_on_other_images(made(without_rare=RARE | {"gains": gains}))
    assert (
        "The gain over the best single, +1.80 points, is from these classes alone: without them it is +0.10 ± 0.30."
        in words
    )
    assert "over the top 3, +0.80 points, is from" not in words


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ["Expect about 0.615 ± 0.011", "the selected score is 0.50 points too high"]),
        ({"shortlist": 12}, ["a shortlist of the 12 most promising of 30 candidates; the cross-fit made shortlists"]),
        ({"optimism": 0.00004}, ["the selected score is the same; the cross-fitted score is of images"]),
        ({"optimism": -0.0006}, ["the selected score is 0.06 points lower, which is chance"]),
        ({"holdout_images": 49, "holdout_groups": 49}, ["only 49 images, fewer than 50", "points are chance"]),
        (
            {"holdout_groups": 1, "holdout_images": 1, "crossfit_miou": None, "crossfit_gains": None}
            | {"gains": {"best_single": gain(0, 0), "top_k": gain(0, 0)}},
            ["With one image nothing can be cross-fitted", "only 1 image, fewer than 50"],
        ),
        ({"holdout_groups": 12}, ["only 12 groups of images, fewer than 50", "points are chance"]),
        (
            {"crossfit_gains": {"best_single": gain(0.003, 0.004), "top_k": gain(0.008, 0.002)}},
            [
                "gain over the best single, +0.30 points, is within its standard error of 0.40",
                "the vote is not shown to be",
            ],
        ),
        (
            {"crossfit_gains": {"best_single": gain(0.02, 0.004), "top_k": gain(-0.001, 0.002)}},
            [
                "gain over the best single, +2.00 points, is above its standard error of 0.40.",
                "gain over the top 3, -0.10 points, is within its standard error of 0.20: selecting the members is not",
            ],
        ),
        (
            {"crossfit_gains": {"best_single": gain(-0.005, 0.004), "top_k": gain(0.008, 0.002)}},
            [
                "gain over the best single, -0.50 points, is below zero by more than its standard error of 0.40: the",
                "the vote is not shown to be",
            ],
        ),
        (
            {"crossfit_miou": None, "crossfit_interval": None, "optimism": None, "crossfit_gains": None},
            ["nothing can be cross-fitted"],
        ),
        (
            {"crossfit_miou": None, "crossfit_gains": None, "gains": {"best_single": gain(0, 0), "top_k": gain(0, 0)}},
            ["scores the same as the top 3", "nothing can be cross-fitted"],
        ),
    ],
)
def test_doubts_are_said_where_there_are_any(changes, said):
    words = words_on_other_images(made(**changes))
    for part in said:
        assert part in words
    everything = ["shortlist", "within its standard error", "scores as", "fewer than 50", "nothing can be"]
    assert [part for part in everything if part in words] == [p for p in everything if any(p in s for s in said)]


def shown(show, ensemble):
    console = Console(file=io.StringIO(), width=140)
    show(console, ensemble)
    return console.file.getvalue()


def test_the_screen_leads_with_who_votes_and_what_that_scores():
    assert shown(show_ensemble, made()).startswith(
        "The vote of run-0, run-1, run-2 scores 0.6200 on the 200 holdout images. Its cross-fitted score is "
    )
    assert "is 0.6150, +1.80 ± 0.40 points over the best single run: members were" in headline(made())
    assert headline(made(members=1)).startswith("run-0 alone scores 0.6200 on the 200 holdout images.")


def test_the_screen_shows_every_vote_gain_and_member():
    text = shown(show_ensemble, made())
    for part in ("top 3", "all", "0.6150", "0.0110", "top 3", "…-2", "fpn[x]"):
        assert part in text
    assert " ".join(text.split()).count("selected │ best single │ +2.00 │ 0.40 │ +1.20 │ +2.80") == 1
    assert "20.67 ± 0.10" in text  # Shapley, in points
    assert "How each member differs" in text
    assert "by class: Paper [x] 0.960, Background 0.900; IoU 0: Metal, Glass; neither in" in text
    assert "neither in labels nor in the vote: Battery." in text
    assert "segvote ensemble --studies night" in text


def test_one_member_has_no_pairs(tmp_path):
    ensemble = made(members=1)
    text = " ".join(shown(show_ensemble, ensemble).split())
    assert "beside the others" not in text
    assert "No vote of several runs that was tried scores higher on this holdout than the best single run." in text
    assert [path.name for path in plot_ensemble(ensemble, tmp_path)] == ["ensemble.png"]


def test_why_one_run_votes_alone():
    ensemble = made(members=1)
    assert "it takes three candidates" in words_on_other_images(dataclasses.replace(ensemble, max_members=2))
    asked_for = dataclasses.replace(ensemble, candidates=ensemble.candidates[::-1])  # it is not the best
    assert "No vote of several" not in words_on_other_images(asked_for)


def test_plots_are_files(tmp_path):
    paths = plot_ensemble(made(), tmp_path)
    assert [path.name for path in paths] == ["ensemble.png", "diversity.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_the_best_candidates_are_listed_and_the_rest_counted():
    text = shown(show_candidates, made())
    assert "Candidates: 30" in text
    assert "run-19" in text
    assert "run-20" not in text
    assert "… and 10 more" in text


def test_the_page_in_mlflow_says_the_same():
    page = markdown(made())
    assert "| selected, cross-fitted | 3 | 0.6150 |" in page
    assert words_on_other_images(made()) in page


def test_the_mean_leaves_a_member_itself_out():
    assert mean_of_others([[9.0, 0.1, 0.3], [0.1, 9.0, 0.5], [0.3, 0.5, 9.0]]) == pytest.approx([0.2, 0.3, 0.4])
