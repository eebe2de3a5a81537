"""`segvote data show --augment`: a batch of training photos under every augmentation policy."""

from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from search.commands.data.galleries import TILE, as_png
from search.report.bars import Bars
from search.report.pictures import fitted, overlay, palette, with_legend
from trainables.data import Dataset, PackedData, build_augmentation, pack
from trainables.data.batches.copy_paste import POLICY, CopyPaste
from trainables.data.batches.policies import AUGMENTATIONS
from trainables.data.batches.training_batches import sample_seed
from trainables.files import replacing

COLUMNS = 6


def run_augment(
    dataset: Dataset, size: tuple[int, int], out: Path, cache_dir: Path, count: int, seed: int, console: Console
) -> int:
    """Write one PNG for each augmentation policy, and return the exit code.

    Args:
        dataset: The data set.
        size: (height, width) at which trials would see the photos.
        out: The directory of the PNG files.
        cache_dir: The directory of the decoded photos.
        count: How many photos of train.json a PNG shows.
        seed: Chooses the photos.
        console: Where to print.
    """
    with Bars(console) as bars:
        update = bars.add("Decoding photos", len(dataset.images))
        packed = pack(dataset, size, cache_dir, progress=lambda done, total: update(done))
    rows = dataset.rows("train")
    shown = np.random.default_rng(seed).choice(rows, min(count, len(rows)), replace=False).tolist()
    first_class = int(dataset.unlabelled == "background")
    paste = CopyPaste(packed, rows, first_class=first_class, seed=seed)
    for policy in AUGMENTATIONS:
        sheet = _sheet(packed, shown, policy, paste if policy == POLICY else None, dataset, seed)
        with replacing(out / f"augmented-{policy}.png", sync=False) as temporary:
            temporary.write_bytes(as_png(sheet))
        console.print(f"{out / f'augmented-{policy}.png'}", soft_wrap=True)
    return 0


def _sheet(
    packed: PackedData, rows: list[int], policy: str, paste: CopyPaste | None, dataset: Dataset, seed: int
) -> Image.Image:
    """Return pairs of rows: augmented photos, and below them the same photos with their labels."""
    augment = build_augmentation(policy, packed.image_size, seed)
    colours = palette(dataset.num_classes, background=dataset.unlabelled == "background")
    pairs = []
    for row in rows:
        image, mask = packed.images[row], packed.masks[row]
        if paste:
            image, mask = paste(image, mask, sample_seed(seed, row))
        image, mask = augment(image, mask, sample_seed(seed, row))
        pairs.append(np.vstack([fitted(one, image.shape[:2], TILE) for one in (image, overlay(image, mask, colours))]))
    blank = np.full_like(pairs[0], 255)
    lines = [pairs[start : start + COLUMNS] for start in range(0, len(pairs), COLUMNS)]
    strips = [np.hstack([*line, *[blank] * (COLUMNS - len(line))]) for line in lines]
    return with_legend(
        np.vstack(strips),
        f"augmentation {policy}: training photos, and below each its labels",
        dict(enumerate(dataset.class_names)),
        colours,
    )
