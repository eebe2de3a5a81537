"""The searches computed a second way, on ranked rows and in exact fractions: every set that is looked at votes anew."""

from itertools import combinations

import numpy as np

from tests.ensembling.recounted import naive

BAGS = 20


class Judge:
    """mIoU of members' votes, remembered. `rows` are the predictions in rank order."""

    def __init__(self, rows, target, num_classes, ignore_index):
        self.rows, self.target, self.num_classes, self.ignore_index = rows, target, num_classes, ignore_index
        self.known = {}

    def __call__(self, votes):
        """`votes`: ranks with one vote each, or {rank: votes}."""
        votes = votes if isinstance(votes, dict) else dict.fromkeys(votes, 1)
        key = tuple(sorted(votes.items()))
        if key not in self.known:
            repeated = np.repeat(self.rows[[rank for rank, _ in key]], [number for _, number in key], axis=0)
            voted = naive.vote(repeated, self.num_classes)
            self.known[key] = naive.miou(voted, self.target, self.num_classes, self.ignore_index)
        return self.known[key]

    def on(self, pixels):
        return Judge(self.rows[:, pixels], self.target[pixels], self.num_classes, self.ignore_index)


def best_of(options, score):
    """The first of the options with the highest score."""
    scores = [score(option) for option in options]
    return options[scores.index(max(scores))]


def greedy(judge, pool, most, first):
    path = list(first)
    while len(path) < most and set(pool) - set(path):
        path.append(best_of([rank for rank in pool if rank not in path], lambda rank: judge([*path, rank])))
    prefixes = [path[:size] for size in range(max(1, len(first)), len(path) + 1)]
    return set(best_of(prefixes, judge)), path


def swap(judge, pool, most, must, start):
    members = set(must) | set(start) if start else greedy(judge, pool, most, sorted(must))[0]
    while True:
        outside = sorted(set(pool) - members)
        leaving = sorted(members - set(must))
        moves = [members - {gone} for gone in leaving if len(members) > 1]
        moves += [members - {gone} | {come} for gone in leaving for come in outside]
        moves += [members | {come} for come in outside if len(members) < most]
        if not moves or max(map(judge, moves)) <= judge(members):
            return members
        members = best_of(moves, judge)


def beam(judge, pool, most, first, width):
    paths, seen = [list(first)], [list(first)] if first else []
    while len(paths[0]) < min(most, len(pool)):
        longer = []
        for path in paths:
            for rank in sorted(set(pool) - set(path)):
                if {*path, rank} not in [set(other) for other in longer]:
                    longer.append([*path, rank])
        paths = sorted(longer, key=judge, reverse=True)[:width]
        seen.append(paths[0])
    return best_of(seen, judge)


def exhaustive(judge, pool, most, must):
    sets = [chosen for size in range(1, most + 1) for chosen in combinations(pool, size) if set(must) <= set(chosen)]
    return set(best_of(sets, judge))


def replacement(judge, pool, most, first):
    path = list(first)
    while len(path) < most:
        now = {rank: path.count(rank) for rank in set(path)}
        outcome = {rank: judge({**now, rank: path.count(rank) + 1}) for rank in pool}
        tied = [rank for rank in pool if outcome[rank] == max(outcome.values())]
        path.append(min(tied, key=path.count))
    prefixes = [path[:size] for size in range(max(1, len(first)), len(path) + 1)]
    chosen = best_of(prefixes, lambda prefix: judge({rank: prefix.count(rank) for rank in prefix}))
    return {rank: chosen.count(rank) for rank in chosen}, path


def bagged_images(judge, pool, most, first, image_of_pixel, seed):
    """`image_of_pixel` counts from 0, in the order of the sorted ids."""
    rng = np.random.default_rng(seed)
    images = np.unique(image_of_pixel)
    elections = []
    for _ in range(BAGS):
        drawn = rng.choice(images, len(images)) if len(images) else images
        pixels = np.concatenate([np.flatnonzero(image_of_pixel == image) for image in [-1, *drawn]])
        elections.append(greedy(judge.on(pixels), pool, most, first)[0])
    return tally(elections, pool, most)


def bagged_runs(judge, pool, most, first, seed):
    rng = np.random.default_rng(seed)
    halves = [rng.permutation(len(pool))[: (len(pool) + 1) // 2].tolist() for _ in range(BAGS)]
    return tally([greedy(judge, sorted({*half, *first}), most, first)[0] for half in halves], pool, most)


def tally(elections, pool, most):
    votes = {rank: sum(rank in chosen for chosen in elections) for rank in pool}
    elected = sorted((rank for rank in pool if votes[rank]), key=lambda rank: (-votes[rank], rank))[:most]
    return {rank: votes[rank] for rank in elected}
