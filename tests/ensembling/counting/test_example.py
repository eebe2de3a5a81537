"""The example at the top of the package: what it draws is what the table holds."""

import re

import numpy as np

import ensembling.counting
from ensembling.counting import build_table

NAMES = "ABC"
LINES = [line.strip() for line in ensembling.counting.__doc__.splitlines()]


def numbers(name):
    (line,) = [line for line in LINES if re.fullmatch(rf"{name}( +[\d.])+", line)]
    return line.split()[1:]


VOTES = np.array([numbers(name) for name in NAMES]).astype(np.uint8)
TARGET = np.array(numbers("target")).astype(np.uint8)


def drawn(first_word):
    """The lines of the drawing that begin with this word, without repeated spaces."""
    return [" ".join(line.split()) for line in LINES if line.startswith(f"{first_word}  ")]


def counted(counts, names):
    return [
        " ".join([f"class {class_id}", *(f"{name} {number}" for name, number in zip(names, counts[:, class_id]))])
        for class_id in range(3)
    ]


def test_agreed_pixels_are_those_drawn():
    agree = (VOTES[0] == VOTES).all(axis=0)
    assert numbers("all") == [str(vote) if same else "." for vote, same in zip(VOTES[0], agree)]
    table = build_table(list(VOTES), TARGET, 3)
    assert drawn("agreed") == [f"agreed {line}" for line in counted(table.agreed[0], ("hits", "predicted"))]


def test_groups_and_their_words_are_those_drawn():
    (chunk,) = build_table(list(VOTES), TARGET, 3).chunks
    blocks = chunk.blocks
    groups, words = [], []
    for group in range(len(blocks.pixels)):
        classes = blocks.classes[group, : blocks.num_classes[group]].tolist()
        target = classes[blocks.target[group]]
        pixels = [pixel for pixel in range(8) if sorted(set(VOTES[:, pixel])) == classes and TARGET[pixel] == target]
        rows = []
        for index, class_id in enumerate(classes[:-1]):
            row = blocks.rows[blocks.first_row[group] + index]
            bits = ["".join(str(int(word) >> bit & 1) for bit in range(len(pixels))) for word in row[:3]]
            rows.append(f"votes for {class_id} " + " ".join(f"{name} {word}" for name, word in zip(NAMES, bits)))
        listed = " ".join(map(str, classes)), " ".join(map(str, pixels))
        groups.append((classes, target, f"group classes {listed[0]} target {target} pixels {listed[1]}", rows))
    for *_, line, rows in sorted(groups):
        words += [line, *rows]
    lines = [" ".join(line.split()) for line in LINES if re.match(r"(group|votes)  ", line)]
    assert lines == words


def test_the_vote_is_the_one_drawn():
    counts = build_table(list(VOTES), TARGET, 3).vote_counts([0, 1, 2])
    assert drawn("vote") == [f"vote {line}" for line in counted(counts, ("hits", "predicted", "labelled"))]
