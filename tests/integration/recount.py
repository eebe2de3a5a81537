"""Every figure of an ensemble's report, computed again from class maps with scikit-learn's confusion matrix alone.

Shares no code with `ensembling`: ranks, the greedy path, the folds, the bootstrap and the permutations are all its own.
"""

import re

import numpy as np
from scipy.stats import norm, t
from sklearn.metrics import cohen_kappa_score, confusion_matrix

IGNORED = 255


class Recount:
    """`maps` are class maps by run id, `target` the holdout's masks.

    `image_ids` is the image of each pixel, or the first of the images that are a group.
    """

    def __init__(self, maps, target, image_ids, num_classes, *, max_members=15, seed=0):
        self.maps, self.target, self.num_classes, self.seed = maps, target, num_classes, seed
        self.image_ids = np.asarray(image_ids)
        self.images = sorted(set(image_ids))
        self.everywhere = np.ones(len(target), bool)
        self.ranking = self.rank(self.everywhere)
        self.members = self.greedy(self.everywhere, max_members)
        self.folds = {}
        for turn, place in enumerate(np.random.default_rng(seed).permutation(len(self.images))):
            self.folds[self.images[place]] = turn % min(5, len(self.images))
        self.fold_of_pixel = np.array([self.folds[image] for image in self.image_ids.tolist()])
        self.chosen = {}
        for fold in sorted(set(self.folds.values())):
            others = self.fold_of_pixel != fold
            self.chosen[fold] = (self.greedy(others, max_members), self.rank(others))

    def vote(self, runs):
        """`runs` in rank order."""
        rows = [self.maps[run] for run in runs]
        cast = np.stack([np.sum([row == one for row in rows], axis=0) for one in range(self.num_classes)])
        leads = cast == cast.max(axis=0)
        winners = np.zeros(len(rows[0]), np.uint8)
        for row in rows[::-1]:
            winners = np.where(np.take_along_axis(leads, row[None].astype(np.intp), axis=0)[0], row, winners)
        return winners

    def confusion(self, voted, inside):
        inside = inside & (self.target != IGNORED)
        return confusion_matrix(self.target[inside], voted[inside], labels=range(self.num_classes))

    def miou(self, runs, inside):
        return miou(self.confusion(self.vote(runs), inside))

    def rank(self, inside):
        scores = {run: self.miou([run], inside) for run in self.maps}
        return sorted(self.maps, key=lambda run: (-round(scores[run], 12), run))

    def in_order(self, runs, ranking):
        return [run for run in ranking if run in runs]

    def greedy(self, inside, max_members):
        ranking = self.rank(inside)
        path, scores = [], []
        while len(path) < min(max_members, len(ranking)):
            rest = [run for run in ranking if run not in path]
            mious = [round(self.miou(self.in_order([*path, run], ranking), inside), 12) for run in rest]
            path.append(rest[mious.index(max(mious))])
            scores.append(max(mious))
        return self.in_order(path[: 1 + scores.index(max(scores))], ranking)

    def crossfitted(self, choose):
        """Class map of the whole holdout in which each fold is voted on by choose(members, ranking) of the others."""
        voted = np.zeros(len(self.target), int)
        for fold, (members, ranking) in self.chosen.items():
            inside = self.fold_of_pixel == fold
            voted[inside] = self.vote(choose(members, ranking))[inside]
        return voted

    def per_image(self, voted):
        return np.stack([self.confusion(voted, self.image_ids == image) for image in self.images]).astype(float)

    def drawn(self, voted):
        """mIoU on 2,000 draws of images."""
        times = np.random.default_rng(self.seed).multinomial(
            len(self.images), np.full(len(self.images), 1 / len(self.images)), size=2000
        )
        return np.array([miou(matrix) for matrix in np.tensordot(times.astype(float), self.per_image(voted), axes=1)])

    def slopes(self, voted):
        """How each class's part in the mIoU changes with the weight of each image: differences of a small step."""
        images, step = self.per_image(voted), 1e-6
        whole = images.sum(axis=0)
        return np.array([(parts(whole + step * image) - parts(whole)) / step for image in images])

    def points(self, value, drawn, slopes):
        """BCa limits of Efron (1987), stretched by t with Satterthwaite's degrees of freedom and two more."""
        if not drawn.any():
            return f"{100 * value:+.2f}", "0.00", f"{100 * value:+.2f}", f"{100 * value:+.2f}"
        bias = norm.ppf(np.clip((drawn < value).mean() + (drawn == value).mean() / 2, 0.01, 0.99))
        whole = slopes.sum(axis=1)
        skew = (whole**3).sum() / 6 / (whole**2).sum() ** 1.5
        levels = [norm.cdf(bias + (bias + z) / max(0.2, 1 - skew * (bias + z))) for z in norm.ppf([0.025, 0.975])]
        images_with = (self.per_image(self.target).sum(axis=2) > 0).sum(axis=0)
        variances = (slopes**2).sum(axis=0)
        freedom = variances.sum() ** 2 / (variances**2 / (images_with - 1 + 2)).sum()
        stretch = t.ppf(0.975, freedom) / norm.ppf(0.975)
        low, high = (value + stretch * (end - value) for end in np.quantile(drawn, levels))
        error = np.std(drawn, ddof=1)
        return f"{100 * value:+.2f}", f"{100 * error:.2f}", f"{100 * low:+.2f}", f"{100 * high:+.2f}"

    def shapley(self):
        """Over 20 orders and their rotations; the errors are those of the 20 means."""
        rng, known = np.random.default_rng(self.seed), {frozenset(): 0.0}
        gains = np.zeros((20, len(self.members)))
        for gain in gains:
            order = rng.permutation(len(self.members)).tolist()
            for turn in range(len(order)):
                turned = order[turn:] + order[:turn]
                for size, place in enumerate(turned):
                    before, after = frozenset(turned[:size]), frozenset(turned[: size + 1])
                    if after not in known:
                        runs = [self.members[rank] for rank in sorted(after)]
                        known[after] = self.miou(runs, self.everywhere)
                    gain[place] += (known[after] - known[before]) / len(order)
        return gains.mean(axis=0), gains.std(axis=0, ddof=1) / np.sqrt(20)

    def rows(self, names):
        """Regular expressions of the lines on screen; `names` are the runs' names by id."""
        size, count = len(self.members), len(self.ranking)
        sizes = {"best single": 1} | {f"top {k}": k for k in (3, 5, 7, 10) if k < count} | {"all": count}
        for label, number in sizes.items():
            yield row(label, number, f"{self.miou(self.ranking[:number], self.everywhere):.4f}", "")
        votes = [self.vote(self.members), self.vote(self.ranking[:1]), self.vote(self.ranking[:size])]
        crossfitted = [
            self.crossfitted(lambda members, ranking: members),
            self.crossfitted(lambda members, ranking: ranking[:1]),
            self.crossfitted(lambda members, ranking: ranking[: len(members)]),
        ]
        for label, three in (("selected", votes), ("selected, cross-fitted", crossfitted)):
            scores, draws = [miou(self.confusion(one, self.everywhere)) for one in three], [*map(self.drawn, three)]
            yield row(label, size, f"{scores[0]:.4f}", f"{np.std(draws[0], ddof=1):.4f}")
            for other, over in ((1, "best single"), (2, f"top {size}")):
                slopes = self.slopes(three[0]) - self.slopes(three[other])
                yield row(label, over, *self.points(scores[0] - scores[other], draws[0] - draws[other], slopes))
        yield from self.member_rows(names)

    def member_rows(self, names):
        shapley, errors = self.shapley()
        whole = self.miou(self.members, self.everywhere)
        # Members of one study are told apart by their number alone.
        one_study = len({names[run].rsplit("-", 1)[0] for run in self.members}) == 1
        for place, run in enumerate(self.members):
            others = [one for one in self.members if one != run]
            last = f"{100 * (whole - self.miou(others, self.everywhere)):+.2f}" if others else ""
            own = f"{self.miou([run], self.everywhere):.4f}"
            added = f"{100 * shapley[place]:.2f} ± {100 * errors[place]:.2f}"
            name = f"…-{names[run].rsplit('-', 1)[1]}" if one_study else names[run]
            yield row(place + 1, name, 1, own, last, added)
            if others:
                yield row(names[run], *self.beside(run, others))

    def beside(self, run, others):
        counted = self.target != IGNORED
        mine, truth = self.maps[run][counted], self.target[counted]
        theirs = [self.maps[one][counted] for one in others]
        yield f"{100 * np.mean([(mine != other).mean() for other in theirs]):.1f}"
        yield f"{np.mean([cohen_kappa_score(mine, other) for other in theirs]):.3f}"
        yield f"{100 * np.mean([((mine != truth) & (other != truth)).mean() for other in theirs]):.1f}"

    def words(self, class_names):
        members = self.crossfitted(lambda members, ranking: members)
        expected = miou(self.confusion(members, self.everywhere))
        optimism = self.miou(self.members, self.everywhere) - expected
        yield f"Expect about {expected:.3f} ± {np.std(self.drawn(members), ddof=1):.3f}"
        points = round(100 * optimism, 2)
        if points == 0:
            yield "the selected score is the same"
        else:
            yield f"{-points:.2f} points lower" if points < 0 else f"{points:.2f} points too high"
        matrix = self.confusion(self.vote(self.members), self.everywhere)
        for name, right, union in zip(class_names, np.diag(matrix), matrix.sum(0) + matrix.sum(1) - np.diag(matrix)):
            if right:
                yield f"{name} {right / union:.3f}"


def parts(matrix):
    """What each class adds to the mIoU."""
    matrix = matrix.astype(float)
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - np.diag(matrix)
    return np.where(union > 0, np.diag(matrix) / np.maximum(union, 1e-12), 0) / (union > 0).sum()


def miou(matrix):
    return float(parts(matrix).sum())


def row(*cells):
    """A line of a table that begins with these cells, as a regular expression."""
    return "│ *" + " *│ *".join(re.escape(str(cell)) for cell in cells)


def missing(rows, screen):
    """The rows that are not on screen; a value that rounds to -0.00 may stand there as +0.00."""
    screen = screen.replace("-0.00", "+0.00")
    return [one for one in rows if not re.search(one.replace(r"\-0\.00", r"\+0\.00"), screen)]
