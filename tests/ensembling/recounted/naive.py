"""The vote, its mIoU and the selection computed a second way: everything recounted from scratch, in exact fractions.

Shares no code with `ensembling`. Slow on purpose; a step of the greedy path votes anew for every candidate.
"""

from fractions import Fraction
from functools import lru_cache

import numpy as np


def vote(votes, num_classes):
    """Pixel by pixel, as the rule is told."""
    return np.array([winner(column) for column in map(tuple, np.asarray(votes).T.tolist())], np.uint8)


@lru_cache(maxsize=1 << 16)
def winner(column):
    cast = [ballot for ballot in column if ballot != 255]
    tied = [ballot for ballot in cast if cast.count(ballot) == max(map(cast.count, cast))]
    return tied[0] if tied else 0


def ious(prediction, target, num_classes, ignore_index=255):
    """Fraction per class; None for a class in neither."""
    both, either = [0] * num_classes, [0] * num_classes
    for guess, label in zip(np.asarray(prediction).tolist(), np.asarray(target).tolist(), strict=True):
        if label != ignore_index:
            both[label] += guess == label
            for class_id in {guess, label}:
                either[class_id] += 1
    return [Fraction(hits, union) if union else None for hits, union in zip(both, either, strict=True)]


def miou(prediction, target, num_classes, ignore_index=255):
    occurring = [iou for iou in ious(prediction, target, num_classes, ignore_index) if iou is not None]
    return sum(occurring, Fraction(0)) / len(occurring) if occurring else Fraction(0)


def rank(predictions, target, num_classes, ignore_index=255):
    """Candidate indices, best first, and each candidate's own mIoU."""
    scores = [miou(vote(row[None], num_classes), target, num_classes, ignore_index) for row in predictions]
    return sorted(range(len(scores)), key=lambda index: (-scores[index], index)), scores


def vote_of(members, predictions, ranking, num_classes):
    return vote(predictions[[index for index in ranking if index in members]], num_classes)


def greedy(predictions, target, num_classes, max_members, ignore_index=255):
    """(ranking, scores, path, mIoU after each step, members in rank order)."""
    ranking, scores = rank(predictions, target, num_classes, ignore_index)
    path, path_miou = [], []
    while len(path) < min(max_members, len(ranking)):
        outcomes = {
            index: miou(vote_of([*path, index], predictions, ranking, num_classes), target, num_classes, ignore_index)
            for index in ranking
            if index not in path
        }
        highest = max(outcomes.values())
        path.append(next(index for index in ranking if outcomes.get(index) == highest))
        path_miou.append(highest)
    length = 1 + path_miou.index(max(path_miou))
    return ranking, scores, path, path_miou, [index for index in ranking if index in path[:length]]


def folds_of_images(image_ids, seed, most=5):
    """{image id: fold}: the sorted ids, shuffled by NumPy's default generator, dealt out in turn."""
    images = sorted(set(image_ids.tolist()))
    shuffled = np.random.default_rng(seed).permutation(len(images))
    return {images[place]: turn % min(most, len(images)) for turn, place in enumerate(shuffled)}


def crossfit_miou(predictions, target, num_classes, max_members, image_ids, seed, ignore_index=255):
    """None with fewer than two images."""
    folds = folds_of_images(image_ids, seed)
    if len(folds) < 2:
        return None
    fold_of_pixel = np.array([folds[image] for image in image_ids.tolist()])
    voted = np.zeros(len(target), np.uint8)
    for fold in set(folds.values()):
        inside, outside = fold_of_pixel != fold, fold_of_pixel == fold
        ranking, *_, members = greedy(predictions[:, inside], target[inside], num_classes, max_members, ignore_index)
        voted[outside] = vote_of(members, predictions[:, outside], ranking, num_classes)
    return miou(voted, target, num_classes, ignore_index)
