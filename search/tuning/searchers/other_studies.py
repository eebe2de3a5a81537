"""The trials of the studies that --learn-from names, as a new study keeps them.

They are read from the ledgers in the runs directory, since MLflow has the configurations that a space made, but not the
suggestions that it made them of. The new study keeps a copy: a resumed study learns the same, whatever became of the
others.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import TypedDict

from search.study.choices import Choice
from search.study.manifest import read_manifest
from search.study.settings import Settings
from search.study.space import Space
from search.study.study import known_studies
from search.tuning.searchers.rank_model import RankModel
from trainables.errors import UserError, nearest
from trainables.study_data import OBJECTIVE
from trainables.trial.files import TrialFiles
from trainables.trial.study_files import first_name, trial_directories

FEWEST = 2  # trials of a study, which are compared with each other
MOST_NAMED = 3  # values that were left out


class LearntTrial(TypedDict):
    """The suggestions of a trial that this study's space has as well, and its place among the trials of its study.

    The place is above 0 and below 1; that of the best is the highest.
    """

    sampled: dict[str, Any]
    place: float


class LearntStudy(TypedDict):
    """What is learnt of one study.

    `unscored` trials have no score, or failed; `unlike` ones share no suggestion with this study. `left_out` counts the
    values that this study's space does not offer.
    """

    name: str
    id: str
    trials: list[LearntTrial]
    unscored: int
    unlike: int
    left_out: dict[str, int]


def read_other_studies(settings: Settings, space: Space) -> list[LearntStudy]:
    """Return what the studies of --learn-from teach. Raises UserError for one that there is nothing to learn from."""
    choices = free_choices(space)
    if settings.learn_from and not choices:
        raise UserError("--learn-from helps to draw configurations, but all choices are pinned: leave it out")
    directories = [_find(name, settings) for name in dict.fromkeys(settings.learn_from)]
    return [_read(directory, choices) for directory in dict.fromkeys(directories)]


def free_choices(space: Space) -> dict[str, Choice]:
    """Return the suggestions of the space that no flag pins, by name."""
    return {name: choice for name, choice in space.choices.items() if name not in space.fixed}


def make_rank_model(studies: Sequence[LearntStudy], space: Space) -> RankModel | None:
    """Return a model of what was learnt; None where nothing was."""
    trials = [(trial["sampled"], trial["place"]) for study in studies for trial in study["trials"]]
    return RankModel(free_choices(space), trials) if trials else None


def describe(studies: Sequence[LearntStudy]) -> str:
    """Return in a line how many trials are learnt from, and what could not be used."""
    used = " and ".join(f"{len(study['trials'])} trials of {study['name']}" for study in studies)
    why = {"have no score": "unscored", "share no choice with this space": "unlike"}
    counts = {words: sum(study[key] for study in studies) for words, key in why.items()}
    unused = [f"{count} could not be used, because they {words}" for words, count in counts.items() if count]
    left_out = sum((Counter(study["left_out"]) for study in studies), Counter())
    named = [f"{what} ({count})" for what, count in left_out.most_common(MOST_NAMED)]
    named += [f"{len(left_out) - MOST_NAMED} more"] * (len(left_out) > MOST_NAMED)
    lacks = [f"values that this space does not offer are left out: {', '.join(named)}"] if named else []
    return "; ".join([used, *unused, *lacks])


def _find(name: str, settings: Settings) -> Path:
    """Return the directory of a study that may be learnt from, which may have been renamed."""
    if name == settings.name:
        raise UserError(f"--learn-from {name}: a study learns from its own trials anyway, so name others")
    known = known_studies(settings.runs_dir)
    named = [name] if name in known else [one for one in known if first_name(settings.runs_dir / one) == name]
    if len(named) != 1:
        raise UserError(
            f"--learn-from {name}: there is no study of that name in --runs-dir {settings.runs_dir}"
            f"{nearest(name, known)}; studies there: {', '.join(known) or 'none'}. A study that only MLflow knows "
            "cannot be learnt from, since MLflow does not have what was drawn: copy its directory here"
        )
    return settings.runs_dir / named[0]


def _read(directory: Path, choices: Mapping[str, Choice]) -> LearntStudy:
    manifest = read_manifest(directory)
    for kind, made in (("refit", manifest.get("refit")), ("grid", manifest["settings"].get("grid"))):
        if made:
            raise UserError(
                f"--learn-from {directory.name}: it is a {kind}, whose configurations were not drawn: name a search"
            )
    found = [TrialFiles(path) for path in trial_directories(directory)]
    trials = [(files, files.read_suggestion()["sampled"]) for files in found if files.suggestion.exists()]
    curves = [_curve(files) for files, _ in trials]
    scored = [(sampled, curve) for (_, sampled), curve in zip(trials, curves) if curve]
    places = places_of([curve for _, curve in scored])
    left_out = Counter(text for sampled, _ in scored for text in _not_offered(sampled, choices))
    learnt = [
        LearntTrial(sampled=_offered(sampled, choices), place=round(float(place), 5))
        for (sampled, _), place in zip(scored, places)
    ]
    usable = [trial for trial in learnt if trial["sampled"]]
    if len(usable) < FEWEST:
        raise UserError(
            f"--learn-from {directory.name}: {len(usable)} of its {len(trials)} trials can be used, since "
            f"{len(trials) - len(scored)} have no score and {len(scored) - len(usable)} share no choice with this "
            f"space, but {FEWEST} are needed to compare them: name another study"
        )
    return LearntStudy(
        name=directory.name,
        id=manifest["id"],
        trials=usable,
        unscored=len(trials) - len(scored),
        unlike=len(scored) - len(usable),
        left_out=dict(left_out),
    )


def _curve(files: TrialFiles) -> list[float]:
    """Return the score of each epoch of a trial; none where it failed."""
    verdict = files.read_verdict()
    if verdict and verdict["failure"]:
        return []
    return [record[OBJECTIVE] for record in files.records() if OBJECTIVE in record]


def places_of(curves: Sequence[Sequence[float]]) -> np.ndarray:
    """Return the place of each trial among the others, (trials,), above 0 and below 1, by its scores epoch by epoch.

    Two trials are compared by their best scores up to the last epoch that both reached, since early stopping ends many
    trials early, and not always the worse ones. A trial's place is the rank of the share of trials that it beats.
    """
    best = [np.maximum.accumulate(curve) for curve in curves]
    beaten = np.zeros(len(best))
    for place, curve in enumerate(best):
        for other in best:
            last = min(len(curve), len(other)) - 1
            beaten[place] += (np.sign(curve[last] - other[last]) + 1) / 2
    return np.array([np.mean((beaten < share) + 0.5 * (beaten == share)) for share in beaten])


def _offered(sampled: dict[str, Any], choices: Mapping[str, Choice]) -> dict[str, Any]:
    return {name: value for name, value in sampled.items() if name in choices and choices[name].allows(value)}


def _not_offered(sampled: dict[str, Any], choices: Mapping[str, Choice]) -> list[str]:
    """Return texts like "head=lawin" for values that a choice does not have, and the names of unknown choices."""
    apart = sampled.keys() - _offered(sampled, choices).keys()
    return [f"{name}={sampled[name]}" if name in choices else name for name in sorted(apart)]
