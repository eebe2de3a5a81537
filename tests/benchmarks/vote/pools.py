"""Class maps of a simulated study, for benchmarks of the vote: targets, and candidates that err as trained networks do.

Every image has one smooth field per class, and the highest one is the target: regions with curved borders. A candidate
takes the second-highest class instead (now and then the third) where its error field exceeds the margin between the
two, so that it jitters at borders and fails together with others in hard places. Its error field is a sum of smooth
fields: one that all candidates share, one of its family (runs with one backbone), its own, and its own at a fine scale.
Where another such sum is high, it takes a whole region for the class that it is confusable with.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BLOCK_PIXELS = 1 << 20
FAMILIES = 6


@dataclass(frozen=True, eq=False)
class Pool:
    """Maps one after another, row by row: `predictions` uint8 (candidates, pixels), `target` uint8 (pixels,)."""

    predictions: np.ndarray
    target: np.ndarray
    image_ids: np.ndarray  # int32 (pixels,), ascending from 0
    num_classes: int

    def cut(self, images: int) -> tuple["Pool", "Pool"]:
        """The first `images` images (the holdout, say), and the others (unseen ones). Views, not copies."""
        pixels = int(np.searchsorted(self.image_ids, images))
        return tuple(
            Pool(self.predictions[:, part], self.target[part], self.image_ids[part], self.num_classes)
            for part in (slice(0, pixels), slice(pixels, None))
        )


def make_pool(
    seed: int,
    candidates: int,
    images: int,
    size: tuple[int, int] = (64, 64),
    num_classes: int = 11,
    rare: Sequence[float] = (),
    film: int = 1,
) -> Pool:
    """The maps of `candidates` on `images` images of `size` (height, width); the same for the same arguments.

    A candidate's traits do not depend on the number of images, an image's content not on that of other scenes. The
    last classes are in a share `rare` of the images each. Each `film` images that follow each other are one scene: most
    of what its images hold and of what makes candidates err is the scene's, and each candidate has a knack for it.
    """
    traits = _Traits(np.random.default_rng([seed, 0]), candidates, num_classes)
    pixels = size[0] * size[1]
    predictions = np.empty((candidates, images * pixels), np.uint8)
    target = np.empty(images * pixels, np.uint8)
    bases = {cells: [_base(length, cells) for length in size] for cells in (5, 10, 40)}
    block = max(1, BLOCK_PIXELS // pixels)
    for image in range(images):
        rng = np.random.default_rng([seed, 1, image])
        if film > 1:
            rng = _Film(rng, np.random.default_rng([seed, 2, image // film]))
        part = slice(image * pixels, (image + 1) * pixels)
        scene = _Scene(rng, bases, traits, num_classes, rare)
        target[part] = scene.target.reshape(-1)
        for start in range(0, candidates, block):
            chosen = np.arange(start, min(start + block, candidates))
            predictions[chosen, part] = scene.predict(rng, traits, chosen).reshape(len(chosen), -1)
    return Pool(predictions, target, np.repeat(np.arange(images, dtype=np.int32), pixels), num_classes)


class _Film:
    """Random numbers of an image of a scene: normal ones are mostly the scene's, all others entirely."""

    OWN = 0.45  # of the deviation of a normal number

    def __init__(self, own: np.random.Generator, scene: np.random.Generator) -> None:
        self._own, self._scene = own, scene
        self.random, self.integers = scene.random, scene.integers

    def standard_normal(self, shape: tuple[int, ...], kind: type) -> np.ndarray:
        shared = self._scene.standard_normal(shape, kind)
        shared *= np.float32(np.sqrt(1 - self.OWN**2))
        shared += np.float32(self.OWN) * self._own.standard_normal(shape, kind)
        return shared

    def normal(self, mean: float, deviation: float) -> float:
        return mean + deviation * float(self.standard_normal((1,), np.float32)[0])


class _Traits:
    """What a candidate is: its family, how often it errs, in which classes more, and how much of that is its own."""

    def __init__(self, rng: np.random.Generator, candidates: int, num_classes: int) -> None:
        self.family = rng.integers(0, FAMILIES, candidates)
        family_skill = rng.normal(0, 0.10, FAMILIES)
        # A search has a long tail of weak configurations and a crowd of good ones.
        self.skill = family_skill[self.family] - rng.exponential(0.25, candidates)
        family_bias = rng.normal(0, 0.20, (FAMILIES, num_classes))
        self.bias = (family_bias[self.family] + rng.normal(0, 0.20, (candidates, num_classes))).astype(np.float32)
        self.jitter = rng.uniform(0.02, 0.05, candidates)
        self.partner = _partners(rng, num_classes)


class _Scene:
    """One image: its target, its next classes, and the error fields that candidates share."""

    def __init__(
        self, rng: np.random.Generator, bases: dict, traits: _Traits, num_classes: int, rare: Sequence[float]
    ) -> None:
        common = num_classes - len(rare)
        share = np.concatenate([np.minimum(1, 3.0 / (1 + np.arange(common))), rare])
        present = np.flatnonzero(rng.random(num_classes) < share)
        present = np.union1d(present, [0, 1, rng.integers(common)]).astype(np.uint8)
        present = np.resize(present, max(3, len(present)))  # a class may have two fields
        logits = _fields(rng, bases[5], len(present)) + 0.3 * _fields(rng, bases[10], len(present))
        logits[0] += 0.5  # background is the largest class
        order = np.argsort(logits, axis=0)
        top, second, third = (np.take_along_axis(logits, order[-place][None], axis=0)[0] for place in (1, 2, 3))
        self.target, self.runner_up, self.third = (present[order[-place]] for place in (1, 2, 3))
        self.confused_with = traits.partner[self.target]
        self.margin = 2.5 * (top - second)
        self.next_margin = 2.9 * (second - third)
        self.hardness = rng.normal(0, 0.2)
        self.bases = bases
        self.common = _fields(rng, bases[10], 2)
        self.of_family = _fields(rng, bases[10], 2 * FAMILIES).reshape(2, FAMILIES, *self.target.shape)

    def predict(self, rng: np.random.Generator, traits: _Traits, chosen: np.ndarray) -> np.ndarray:
        """Class maps of the `chosen` candidates: uint8 (chosen, height, width)."""
        family, skill = traits.family[chosen], traits.skill[chosen, None, None].astype(np.float32)
        own = _fields(rng, self.bases[10], 2 * len(chosen)).reshape(2, len(chosen), *self.target.shape)
        fine = _fields(rng, self.bases[40], len(chosen))
        fine *= traits.jitter[chosen, None, None].astype(np.float32)
        weakness = np.float32(self.hardness) - skill + traits.bias[chosen][:, self.target]
        slip = 0.34 * self.common[0] + 0.07 * self.of_family[0, family] + 0.05 * own[0] + fine
        slip += 0.10 * weakness - 0.16
        mistake = 0.90 * self.common[1] + 0.20 * self.of_family[1, family] + 0.18 * own[1] + 0.18 * weakness
        maps = np.where(mistake > 1.65, self.confused_with, self.target)
        other = np.where(0.5 * own[1] + fine > self.next_margin, self.third, self.runner_up)
        return np.where(slip > self.margin, other, maps)


def _partners(rng: np.random.Generator, num_classes: int) -> np.ndarray:
    """The class that each class is confusable with: uint8 (num_classes,)."""
    order = rng.permutation(num_classes)
    partner = np.empty(num_classes, np.uint8)
    partner[order] = order[np.minimum(np.arange(num_classes) ^ 1, num_classes - 1)]
    return partner


def _base(length: int, cells: int) -> np.ndarray:
    """Spreads `cells` values over `length` pixels by Gaussian bumps: float32 (length, cells), rows of norm 1."""
    places = (np.arange(length) + 0.5) / length * cells - 0.5
    bumps = np.exp(-0.5 * ((places[:, None] - np.arange(cells)) / 0.6) ** 2)
    return (bumps / np.linalg.norm(bumps, axis=1, keepdims=True)).astype(np.float32)


def _fields(rng: np.random.Generator, base: list[np.ndarray], count: int) -> np.ndarray:
    """Smooth random fields, each value standard normal: float32 (count, height, width)."""
    rows, columns = base
    noise = rng.standard_normal((count, rows.shape[1], columns.shape[1]), np.float32)
    return rows @ noise @ columns.T
