"""What the scenes of training and holdout mean for the score, in plain words."""

from ensembling.assessment.bootstrap import LEAST_SCENES
from ensembling.runs.ensemble import EnsembleRecord
from trainables.data.scenes import Overlap


def scenes_line(overlap: Overlap) -> str:
    """Return how many scenes there are, for the plan of a search."""
    why = ", ".join(f"{number} photos by {reason}" for reason, number in overlap.reasons)
    return (
        f"{overlap.training_scenes} in training, {overlap.holdout_scenes} in the holdout, {overlap.shared_scenes} in "
        f"both ({f'put together: {why}' if why else 'no photos belong together'})"
    )


def scene_warnings(overlap: Overlap | None) -> list[str]:
    """Return what a reader of the score must know of the scenes, a sentence or two each.

    There is nothing to say where all is well, and where scenes were not looked for.
    """
    words: list[str] = []
    if overlap is None:
        return words
    if overlap.shared_photos:
        words.append(
            f"{overlap.shared_photos} of {overlap.holdout_photos} holdout photos are from "
            f"{_scenes(overlap.shared_scenes, overlap)} that training has, too: the score will be too high for photos "
            f"of new scenes. {_remedy(overlap)}"
        )
    if overlap.holdout_scenes < LEAST_SCENES and overlap.holdout_photos > overlap.holdout_scenes:
        words.append(
            f"The holdout has {_scenes(overlap.holdout_scenes, overlap)}: with fewer than {LEAST_SCENES} no interval "
            "can be given for photos of other scenes."
        )
    return words


def scene_numbers(overlap: Overlap | None) -> dict[str, int]:
    """Return the numbers of scenes as figures for MLflow, by name; none where scenes were not looked for."""
    if overlap is None:
        return {}
    return {
        "training": overlap.training_scenes,
        "holdout": overlap.holdout_scenes,
        "shared": overlap.shared_scenes,
        "holdout_photos_of_shared": overlap.shared_photos,
    }


def expectation_words(ensemble: EnsembleRecord) -> str:
    """Return what the vote should score on photos that nobody has seen, and on which: the cross-fitted mIoU.

    Where there is an interval it is over scenes. Where the holdout has too few of them it says so instead.
    """
    value, spread = f"{ensemble.crossfit_miou:.3f}", ensemble.crossfit_interval
    groups, overlap = ensemble.holdout_groups, ensemble.scenes
    shared = overlap is not None and overlap.shared_photos > 0
    if spread.standard_error is not None:
        on = "photos of the same scenes, of which training has some" if shared else "new images of the same kind"
        return (
            f"Expect about {value} ± {spread.standard_error:.3f} on {on} (95 %: {spread.low:.3f} to {spread.high:.3f})"
        )
    if groups == ensemble.holdout_images:
        return f"Expect about {value}; the holdout has {groups} images, so no interval can be given"
    scenes = "scene" if groups == 1 else f"{groups} scenes"
    on = f"photos of the same {scenes}" if shared else f"photos of {'a ' if groups == 1 else ''}{scenes} like these"
    return (
        f"Expect about {value} on {on}; the holdout is {'one scene' if groups == 1 else f'{groups} scenes'}, so no "
        "interval can be given for other scenes"
    )


def _remedy(overlap: Overlap) -> str:
    if overlap.training_scenes == overlap.shared_scenes == 1:
        return "All photos are of one scene: only photos of others can tell what those will score."
    return "`--holdout scenes` takes whole scenes instead."


def _scenes(number: int, overlap: Overlap) -> str:
    of_films = {reason for reason, _ in overlap.reasons} == {"frames of a sequence"}
    return f"{number} {'sequence' if of_films else 'scene'}{'' if number == 1 else 's'}"
