"""What the scenes of training and holdout mean for the score, in plain words."""

from trainables.data.scenes import Overlap

LEAST_SCENES = 5  # of a holdout, for an interval over scenes


def scenes_line(overlap: Overlap) -> str:
    """Return how many scenes there are, for the plan of a search."""
    why = ", ".join(f"{number} photos by {reason}" for reason, number in overlap.reasons)
    return (
        f"{overlap.training_scenes} in training, {overlap.holdout_scenes} in the holdout, {overlap.shared_scenes} in "
        f"both ({f'put together: {why}' if why else 'no photo belongs to another'})"
    )


def scene_warnings(overlap: Overlap) -> list[str]:
    """Return what a reader of the score must know of the scenes, a sentence or two each; nothing where all is well."""
    words = []
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


def _remedy(overlap: Overlap) -> str:
    if overlap.training_scenes == overlap.shared_scenes == 1:
        return "All photos are of one scene: only photos of others can tell what those will score."
    return "`--holdout scenes` takes whole scenes instead."


def _scenes(number: int, overlap: Overlap) -> str:
    of_films = {reason for reason, _ in overlap.reasons} == {"frames of a sequence"}
    return f"{number} {'sequence' if of_films else 'scene'}{'' if number == 1 else 's'}"
