"""A Gaussian process over configurations and data sets, and functions that are drawn from it.

Its kernel is a sum of one kernel for each parameter, and of their product; configurations on different data sets are
less alike by a factor that is fitted, too (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006,
chapters 2 and 5).
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.optimize import minimize

RANGES = {"adam_lr": (1e-4, 1e-2), "sgd_lr": (3e-3, 0.3), "weight_decay": (1e-5, 0.1), "head_lr_factor": (1.0, 10.0)}
"""Parameters that are numbers; they are compared by their logarithms."""
NUMBERS = 3  # of them that a configuration has: the rate of its optimizer, and the others
CHOICES = ("backbone", "head", "loss", "class_weights", "optimizer", "schedule", "warmup_epochs", "batch_size")
CHOICES += ("augmentation",)
PARTS = NUMBERS + len(CHOICES)
OTHER = 0.6  # how alike two values of a choice are, where all parameters are taken together
WAVES = 64  # random features of the kernels of numbers


@dataclass(frozen=True, eq=False)
class Inputs:
    """Configurations on their data sets: numbers in 0..1 (n, NUMBERS), choices (n, CHOICES) and data sets (n,)."""

    numbers: np.ndarray
    choices: np.ndarray
    data: np.ndarray

    @classmethod
    def of(cls, params: Sequence[dict[str, Any]], data: Sequence[str]) -> "Inputs":
        numbers = np.array([_scaled(one) for one in params])
        choices = np.array([[str(one[name]) for name in CHOICES] for one in params])
        return cls(numbers, choices, np.array(data))


def _scaled(params: dict[str, Any]) -> list[float]:
    """Return the numbers of a configuration. Rates of all optimizers are one: which it is of is a choice."""
    rate = "sgd_lr" if params["optimizer"] == "sgd" else "adam_lr"
    names = (rate, "weight_decay", "head_lr_factor")
    return [float(np.log(params[name] / RANGES[name][0]) / np.log(RANGES[name][1] / RANGES[name][0])) for name in names]


@dataclass(frozen=True, eq=False)
class Shape:
    """What a kernel is made of: a weight for each parameter (PARTS,), lengths of the numbers' kernels (NUMBERS,), the
    weight of all parameters together, how alike data sets are, and the variance of noise.
    """

    weights: np.ndarray
    lengths: np.ndarray
    joint: float
    likeness: float
    noise: float

    FIRST = np.concatenate([np.full(PARTS, -np.log(PARTS)), np.full(NUMBERS, np.log(0.5)), [np.log(0.3), 0.0, -3.0]])
    BOUNDS = [(-7, 2)] * PARTS + [(-2.3, 1.5)] * NUMBERS + [(-5, 2), (-3, 3), (-5, -1)]

    @classmethod
    def of(cls, theta: np.ndarray) -> "Shape":
        """Return the shape of a point as the optimizer moves it: logarithms, and the likeness as a logit."""
        weights, lengths = np.exp(theta[:PARTS]), np.exp(theta[PARTS : PARTS + NUMBERS])
        return cls(weights, lengths, np.exp(theta[-3]), 1 / (1 + np.exp(-theta[-2])), np.exp(theta[-1]))

    def covariances(self, left: Inputs, right: Inputs) -> np.ndarray:
        """Return the covariances (left, right), without noise."""
        near = np.exp(-0.5 * ((left.numbers[:, None] - right.numbers[None]) / self.lengths) ** 2)
        same = (left.choices[:, None] == right.choices[None]).astype(float)
        alone = np.concatenate([near, same], axis=-1) @ self.weights
        joint = self.joint * near.prod(-1) * np.where(same > 0, 1.0, OTHER).prod(-1)
        alike = np.where(left.data[:, None] == right.data[None], 1.0, self.likeness)
        return (alone + joint) * alike


class Process:
    """A Gaussian process that is fitted to values (n,) by its marginal likelihood."""

    def __init__(self, inputs: Inputs, values: np.ndarray) -> None:
        self.inputs, self.scale = inputs, values.std()
        self.values = values / self.scale
        found = minimize(self._loss, Shape.FIRST, method="L-BFGS-B", bounds=Shape.BOUNDS, options={"maxiter": 40})
        self.shape = Shape.of(found.x)
        self.inverse = np.linalg.inv(self._noisy(self.shape))

    def _noisy(self, shape: Shape) -> np.ndarray:
        return shape.covariances(self.inputs, self.inputs) + shape.noise * np.eye(len(self.values))

    def _loss(self, theta: np.ndarray) -> float:
        """Return the negative log likelihood, with a weak pull of the weights towards small ones."""
        factor = np.linalg.cholesky(self._noisy(Shape.of(theta)))
        white = np.linalg.solve(factor, self.values)
        pull = 0.02 * np.sum((theta[:PARTS] - np.log(0.1)) ** 2)
        return 0.5 * white @ white + np.log(np.diag(factor)).sum() + pull

    def left_out(self) -> np.ndarray:
        """Return what would be predicted for each value without it, (n,) (Rasmussen and Williams, equation 5.12)."""
        return self.scale * (self.values - (self.inverse @ self.values) / self.inverse.diagonal())


class DrawnFunction:
    """A function drawn from the posterior of a process, from configurations to values.

    A function drawn from the prior by random features is corrected by what is known (Wilson et al., Efficiently
    Sampling Functions from Gaussian Process Posteriors, ICML 2020).
    """

    def __init__(self, process: Process, seed: Sequence[int]) -> None:
        self._process = process
        self._parts = {name: _Part(process.shape, [*seed, zlib.crc32(name.encode())]) for name in _data_sets(process)}
        noise = np.random.default_rng(seed).standard_normal(len(process.values)) * np.sqrt(process.shape.noise)
        self._correction = process.inverse @ (process.values - self._prior(process.inputs) - noise)

    def __call__(self, asked: Inputs) -> np.ndarray:
        """Return the values, float64 (asked,)."""
        across = self._process.shape.covariances(asked, self._process.inputs)
        return self._process.scale * (self._prior(asked) + across @ self._correction)

    def _prior(self, asked: Inputs) -> np.ndarray:
        values = np.sqrt(self._process.shape.likeness) * self._parts[""].values(asked)
        for name in set(asked.data):
            rows = asked.data == name
            own = self._parts[name].values(Inputs(asked.numbers[rows], asked.choices[rows], asked.data[rows]))
            values[rows] += np.sqrt(1 - self._process.shape.likeness) * own
        return values


def _data_sets(process: Process) -> list[str]:
    """Return the names of the parts of a function: one for all data sets together, and one for each."""
    return ["", *sorted(set(process.inputs.data))]


class _Part:
    """A function of the configuration alone, drawn from the prior by random features."""

    def __init__(self, shape: Shape, seed: Sequence[int]) -> None:
        self._shape, self._seed = shape, seed
        rng = np.random.default_rng(seed)
        self._waves = rng.standard_normal((2, WAVES, NUMBERS)) / shape.lengths
        self._phases = rng.uniform(0, 2 * np.pi, (2, WAVES, NUMBERS))
        self._heights = rng.standard_normal((WAVES, NUMBERS)) * np.sqrt(2 / WAVES)
        self._joint_heights = rng.standard_normal(WAVES) * np.sqrt(1 / WAVES)
        self._choice = cache(self._draw_choice)

    def values(self, asked: Inputs) -> np.ndarray:
        alone, joint = np.cos(asked.numbers[:, None, None] * self._waves[None] + self._phases).swapaxes(0, 1)
        sums = np.einsum("nwd,wd->nd", alone, self._heights) @ np.sqrt(self._shape.weights[:NUMBERS])
        product = np.sqrt(2.0**NUMBERS) * joint.prod(-1)
        for column in range(len(CHOICES)):
            drawn = [self._choice(column, value) for value in asked.choices[:, column]]
            sums = sums + np.sqrt(self._shape.weights[NUMBERS + column]) * np.array([height for height, _ in drawn])
            product = product * np.stack([signs for _, signs in drawn])
        return sums + np.sqrt(self._shape.joint) * product @ self._joint_heights

    def _draw_choice(self, column: int, value: str) -> tuple[float, np.ndarray]:
        """Return what a value of a choice adds by itself, and the signs that it gives to each joint feature, (WAVES,).

        Two values of a choice give the same sign to a share OTHER of the features, and independent ones to the rest.
        """
        common = np.random.default_rng([*self._seed, column])
        shared, signs = common.random(WAVES) < OTHER, common.choice([-1.0, 1.0], WAVES)
        own = np.random.default_rng([*self._seed, column, zlib.crc32(value.encode())])
        return float(own.standard_normal()), np.where(shared, signs, own.choice([-1.0, 1.0], WAVES))
