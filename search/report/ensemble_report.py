"""What a vote scores, on screen and in words: tables of votes, gains, members and their diversity."""

from collections.abc import Sequence

import numpy as np
from rich.console import Console

from ensembling.assessment.bootstrap import Interval
from ensembling.runs.ensemble import EnsembleRecord
from search.report.console import PlainTable, say
from search.report.scene_words import expectation_words, scene_warnings
from trainables.inference.tta import TestTimeAugmentation

FEW_IMAGES = 50  # below this, scores differ by chance more than ensembles do by merit
SHOWN_CANDIDATES = 20
SHOWN_PARAMS = ("head", "backbone", "loss")


def show_ensemble(console: Console, ensemble: EnsembleRecord) -> None:
    """Show what the vote is and scores in a sentence, then the tables, and at the end what to expect of it."""
    say(console, headline(ensemble), style="bold")
    console.print(_votes_table(ensemble))
    console.print(_gains_table(ensemble))
    console.print(_classes_table(ensemble))
    console.print(_members_table(ensemble))
    if len(ensemble.members) > 1:
        console.print(_diversity_table(ensemble))
    if ensemble.effect_of_views:
        console.print(_views_table(ensemble))
    say(console, class_words(ensemble))
    for words in scene_warnings(ensemble.scenes):
        say(console, words, style="yellow")
    say(console, words_on_other_images(ensemble))
    for reason in ensemble.left_out or ():
        say(console, reason, style="yellow")
    say(console, f"This selects the same ensemble again:\n    {ensemble.command}")


def headline(ensemble: EnsembleRecord) -> str:
    """Return who votes, what the vote scores, what to expect of it, and its gain, in two sentences."""
    members = ensemble.members
    names = ", ".join(member.name for member in members)
    who = f"{names} alone" if len(members) == 1 else f"The vote of {names}"
    words = [f"{who} scores {ensemble.miou:.4f} on the {ensemble.holdout_images} holdout images."]
    gain = (ensemble.crossfit_gains or ensemble.gains or {}).get("best_single")
    if ensemble.crossfit_miou is not None:
        beside = (
            f", {_with_error(gain, 100, '+.2f')} points over the best single run" if gain and len(members) > 1 else ""
        )
        words.append(
            f"Its cross-fitted score is {ensemble.crossfit_miou:.4f}{beside}: members were selected on other images "
            "than those that are scored."
        )
    return " ".join(words)


def show_candidates(console: Console, ensemble: EnsembleRecord) -> None:
    """Show the best of the candidates in the order of their ranks, with the members marked."""
    members = {member.run_id: member.votes for member in ensemble.members}
    candidates = ensemble.candidates
    table = PlainTable(f"Candidates: {len(candidates)}", ">rank", "run", "study", ">mIoU", ">votes")
    for rank, one in enumerate(candidates[:SHOWN_CANDIDATES], start=1):
        votes = str(members.get(one.run_id, ""))
        table.add_row(str(rank), one.name, one.study, f"{one.miou:.4f}", votes)
    console.print(table)
    if len(candidates) > SHOWN_CANDIDATES:
        say(console, f"… and {len(candidates) - SHOWN_CANDIDATES} more")


def vote_rows(ensemble: EnsembleRecord) -> list[tuple[str, int, float, float | None]]:
    """Return label, number of runs, mIoU and its standard error (None where not estimated) of each vote compared."""
    sizes, members = ensemble.baseline_sizes, len(ensemble.members)
    alone = ensemble.best_single_interval
    errors = {"best_single": alone and alone.standard_error}
    rows = [(name.replace("_", " "), sizes[name], miou, errors.get(name)) for name, miou in ensemble.baselines.items()]
    rows.append(("selected", members, ensemble.miou, ensemble.miou_interval.standard_error))
    if ensemble.crossfit_miou is not None:
        error = ensemble.crossfit_interval.standard_error
        rows.append(("selected, cross-fitted", members, ensemble.crossfit_miou, error))
    return rows


def _votes_table(ensemble: EnsembleRecord) -> PlainTable:
    table = PlainTable(f"Hard vote on the {ensemble.holdout_images} holdout images", "vote of", ">runs", ">mIoU", ">±")
    for label, size, miou, error in vote_rows(ensemble):
        style = "bold" if label == "selected" else None
        table.add_row(label, str(size), f"{miou:.4f}", "" if error is None else f"{error:.4f}", style=style)
    return table


def _gains_table(ensemble: EnsembleRecord) -> PlainTable:
    table = PlainTable("Gains in points of mIoU", "vote", "over the", ">gain", ">±", ">95 % from", ">to")
    for label, gains in (("selected", ensemble.gains), ("selected, cross-fitted", ensemble.crossfit_gains)):
        for over, gain in zip(_over(ensemble), (gains or {}).values()):
            figures = (("+.2f", gain.value), (".2f", gain.standard_error), ("+.2f", gain.low), ("+.2f", gain.high))
            cells = ("" if figure is None else format(100 * figure, form) for form, figure in figures)
            table.add_row(label, over, *cells)
    return table


def _classes_table(ensemble: EnsembleRecord) -> PlainTable:
    """Return the table of the holdout's classes, the rarest last."""
    title = "Classes: holdout photos and scenes that have each, its IoU, and its share of the variance of the mIoU"
    table = PlainTable(title, "class", ">photos", ">scenes", ">IoU", ">share, %")
    for one in sorted(ensemble.classes, key=lambda one: -one.photos):
        iou = "" if one.iou is None else f"{one.iou:.4f}"
        share = str(round(100 * one.error_share))  # an int: a float just below 0 would be shown as -0
        table.add_row(one.name, str(one.photos), str(one.scenes), iou, share)
    return table


def _over(ensemble: EnsembleRecord) -> tuple[str, str]:
    return "best single", f"top {len(ensemble.members)}"


def _members_table(ensemble: EnsembleRecord) -> PlainTable:
    title = "Members by rank, and the points of mIoU that each adds: to the others, and on average (Shapley value)"
    table = PlainTable(title, ">rank", "run", ">votes", ">mIoU", ">to others", ">Shapley", "model")
    names = short_names([member.name for member in ensemble.members])
    for member, name in zip(ensemble.members, names):
        model = " ".join(member.params[name] for name in SHOWN_PARAMS if name in member.params)
        last = "" if member.leave_one_out is None else f"{100 * member.leave_one_out:+.2f}"
        shapley = f"{100 * member.shapley:.2f} ± {100 * member.shapley_error:.2f}"
        first = (str(member.rank), name, str(member.votes), f"{member.miou:.4f}")
        table.add_row(*first, last, shapley, model)
    return table


def short_names(names: list[str]) -> list[str]:
    """Return what tells the runs of one study apart: 80 columns do not hold their whole names beside the figures."""
    studies = {name.rpartition("-")[0] for name in names}
    return [f"…-{name.rpartition('-')[2]}" for name in names] if len(studies) == 1 and studies != {""} else names


def _diversity_table(ensemble: EnsembleRecord) -> PlainTable:
    """Return the table that compares each member with the others, on average."""
    table = PlainTable(
        "How each member differs from the others, on average", "run", ">differs, %", ">kappa", ">both wrong, %"
    )
    averages = zip(*map(mean_of_others, (ensemble.disagreement, ensemble.kappa, ensemble.double_fault)))
    for member, (differs, kappa, wrong) in zip(ensemble.members, averages):
        table.add_row(member.name, f"{100 * differs:.1f}", f"{kappa:.3f}", f"{100 * wrong:.1f}")
    return table


def _views_table(ensemble: EnsembleRecord) -> PlainTable:
    title = f"The holdout's mIoU with one view, and with {TestTimeAugmentation.from_dict(ensemble.views)}"
    table = PlainTable(title, "run", ">one view", ">all views", ">gain")
    for row in ensemble.effect_of_views:
        gain = 100 * (row.all_views - row.one_view)
        table.add_row(row.name, f"{row.one_view:.4f}", f"{row.all_views:.4f}", f"{gain:+.2f}")
    return table


def mean_of_others(matrix: Sequence[Sequence[float]]) -> np.ndarray:
    """Return the mean of each row without its value on the diagonal, float64 (members,)."""
    values = np.array(matrix)
    return (values.sum(axis=1) - np.diagonal(values)) / (len(values) - 1)


def class_words(ensemble: EnsembleRecord) -> str:
    """Return the classes' IoU under the selected vote, best first, and the classes that it never gets right."""
    scored = {name: iou for name, iou in ensemble.iou.items() if iou}
    parts = [", ".join(f"{name} {iou:.3f}" for name, iou in sorted(scored.items(), key=lambda item: -item[1]))]
    for words, value in (("IoU 0:", 0), ("neither in labels nor in the vote:", None)):
        names = [name for name, iou in ensemble.iou.items() if iou == value]
        parts += [f"{words} {', '.join(names)}"] if names else []
    return f"IoU of the selected vote by class: {'; '.join(part for part in parts if part)}."


def words_on_other_images(ensemble: EnsembleRecord) -> str:
    """Return what to expect on other images, and whether the vote is shown to help at all."""
    words = []
    if ensemble.crossfit_miou is not None:
        words.append(f"{expectation_words(ensemble)}: {_optimism_words(100 * ensemble.optimism)}")
    else:
        words.append(
            f"With one {_units(ensemble)} nothing can be cross-fitted, and there is no ±: the score on new images is "
            "not known."
        )
    if _is_best_single(ensemble):
        words.append(_why_alone(ensemble))
    elif ensemble.holdout_images > 1:
        words += _gain_words(ensemble)
    words += rare_words(ensemble)
    if len(ensemble.candidates) > (ensemble.shortlist or len(ensemble.candidates)):
        words.append(
            f"Members were chosen from a shortlist of the {ensemble.shortlist} most promising of "
            f"{len(ensemble.candidates)} candidates; the cross-fit made shortlists of its own, without the images that "
            "they are scored on."
        )
    if ensemble.pool_diversity:
        kinds = [
            f"{100 * one.disagreement:.2f} % of pixels if trained {kind} pseudo-labels ({one.candidates} runs)"
            for kind, one in ensemble.pool_diversity.items()
        ]
        words.append(f"Two candidates differ on {' and on '.join(kinds)}.")
    if ensemble.holdout_groups < FEW_IMAGES:
        words.append(
            f"The holdout has only {ensemble.holdout_groups} {_units(ensemble)}, fewer than {FEW_IMAGES}: "
            "differences of a few points are chance."
        )
    return " ".join(words)


def _is_best_single(ensemble: EnsembleRecord) -> bool:
    """Return whether the vote is that of one run, the best one, so that there is no gain to speak of."""
    return len(ensemble.members) == 1 and ensemble.members[0].run_id == ensemble.candidates[0].run_id


def _units(ensemble: EnsembleRecord) -> str:
    """Return the word for what is held out and drawn as one: images, or groups of them."""
    several = "s" if ensemble.holdout_groups != 1 else ""
    return f"image{several}" if ensemble.holdout_groups == ensemble.holdout_images else f"group{several} of images"


def _optimism_words(points: float) -> str:
    """Return how the selected score compares with the cross-fitted one, which is `points` lower."""
    others = "the cross-fitted score is of images on which the members were not selected."
    if round(points, 2) == 0:
        return f"the selected score is the same; {others}"
    if round(points, 2) < 0:  # the votes of the folds happened to score more
        return f"the selected score is {-points:.2f} points lower, which is chance; {others}"
    return (
        f"the selected score is {points:.2f} points too high, since the members were selected on the same images; "
        f"{others}"
    )


def _why_alone(ensemble: EnsembleRecord) -> str:
    """Return the reason why the best candidate votes alone."""
    fewest = min(len(ensemble.candidates), ensemble.max_members)
    if fewest < 3:
        return "A vote of two is decided by the better one alone: it takes three candidates, and --max-members of 3."
    return "No vote of several runs that was tried scores higher on this holdout than the best single run."


def _gain_words(ensemble: EnsembleRecord) -> list[str]:
    """Return a sentence for each gain: whether it is above its standard error, and what follows where it is not."""
    gains = ensemble.crossfit_gains or ensemble.gains
    words = []
    for over, (name, gain) in zip(_over(ensemble), gains.items()):
        points, error = 100 * gain.value, gain.standard_error
        if gain.value == error == 0:
            words.append(f"On every photo the vote scores the same as the {over}.")
        elif error is None:
            words.append(f"Whether the gain over the {over}, {points:+.2f} points, holds on other photos is not known.")
        elif gain.value > error:
            words.append(
                f"The gain over the {over}, {points:+.2f} points, is above its standard error of {100 * error:.2f}."
            )
        else:
            doubt = "the vote" if name == "best_single" else "selecting the members"
            where = "within" if abs(gain.value) <= error else "below zero by more than"
            words.append(
                f"The gain over the {over}, {points:+.2f} points, is {where} its standard error of {100 * error:.2f}: "
                f"{doubt} is not shown to be better."
            )
    return words


def rare_words(ensemble: EnsembleRecord) -> list[str]:
    """Return what the classes that few photos of the holdout have do to the score, its error and the gains."""
    without = ensemble.without_rare
    if without is None:
        return []
    rare = [one for one in ensemble.classes if one.name in without.classes]
    names = ", ".join(f"{one.name} ({one.photos})" for one in rare)
    share = 100 * sum(one.error_share for one in rare)
    miou = without.miou_interval
    words = [
        f"Fewer than {ensemble.rare_photos} holdout photos have {names}; "
        f"{'it causes' if len(rare) == 1 else 'they cause'} {max(0, share):.0f} % of the variance of the mIoU, which "
        f"is {_with_error(miou, 1, '.3f')} without {'it' if len(rare) == 1 else 'them'}."
    ]
    gains = ensemble.crossfit_gains or ensemble.gains
    for over, gain, left in zip(_over(ensemble), gains.values(), without.gains.values()):
        if gain.value > (gain.standard_error or 0) and left.value <= (left.standard_error or 0):
            words.append(
                f"The gain over the {over}, {100 * gain.value:+.2f} points, is from these classes alone: without "
                f"them it is {_with_error(left, 100, '+.2f')}."
            )
    return words


def _with_error(one: Interval, scale: float, form: str) -> str:
    error = one.standard_error
    spread = "" if error is None else f" ± {format(scale * error, form.lstrip('+'))}"
    return f"{format(scale * one.value, form)}{spread}"


def markdown(ensemble: EnsembleRecord) -> str:
    """Return the result as Markdown, for the study's page in MLflow."""
    lines = [f"| {label} | {size} | {miou:.4f} |" for label, size, miou, _ in vote_rows(ensemble)]
    table = ["| vote of | runs | holdout mIoU |", "| --- | ---: | ---: |", *lines]
    paragraphs = [
        "\n".join(table),
        class_words(ensemble),
        *scene_warnings(ensemble.scenes),
        words_on_other_images(ensemble),
    ]
    return "\n\n".join(paragraphs)
