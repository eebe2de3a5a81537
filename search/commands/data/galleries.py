"""The pictures of a data set: chosen images, images by labelled area, classes by area, and single annotations."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from search.report.pictures import overlay, palette, with_legend
from trainables.data.annotations.annotation import Annotation
from trainables.data.dataset import Dataset, ImageRecord
from trainables.data.exploration.counts import labelled_share
from trainables.data.exploration.table import Table
from trainables.data.photos.photo_files import PhotoError, decode_photo

TILE = 240  # pixels of the longer side
CAPTION = 16  # pixels
COLUMNS = 4
LONGEST_NAME = 40  # characters of a class in the name of a file
UNREAD = 160  # the grey of the tile of a photo that cannot be read
DIMMED = 0.4  # of the brightness, around a single annotation
AROUND = 0.3  # of an object's box, shown on each side of it


@dataclass(frozen=True)
class Look:
    """A sheet of tiles: its file's name, its title, and for each tile what is shown: an image, or one annotation.

    `captions` stand below the tiles in the place of id and class.
    """

    name: str
    title: str
    tiles: tuple[tuple[int, Annotation | None], ...]
    captions: tuple[str, ...] = ()


def choose_images(dataset: Dataset, rows: Sequence[int], name: str, title: str) -> Look:
    return Look(name, title, tuple((row, None) for row in rows))


def random_images(table: Table, count: int, seed: int) -> Look:
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(table.labelled))[:count]
    return choose_images(table.dataset, sorted(rows.tolist()), "images", "Images with their masks")


def images_by_area(table: Table, count: int, *, ascending: bool) -> Look:
    """Return the labelled images with most or least of their area labelled, those without any label left out."""
    share = labelled_share(table)
    rows = np.flatnonzero(table.labelled & (share > 0))
    rows = rows[np.argsort(share[rows] if ascending else -share[rows], kind="stable")][:count]
    which = "least" if ascending else "most"
    return choose_images(table.dataset, rows.tolist(), f"{which}-labelled", f"Images with the {which} labelled area")


def class_by_area(table: Table, category: int, count: int, *, ascending: bool) -> Look:
    """Return the annotations of one category with the largest or smallest visible area.

    Args:
        table: The table of the data set's annotations.
        category: The index of the category in the data set.
        count: How many annotations are shown.
        ascending: Whether the smallest ones are shown.
    """
    own = np.flatnonzero((table.category == category) & (table.visible > 0))
    areas = table.visible[own]
    chosen = own[np.argsort(areas if ascending else -areas, kind="stable")][:count]
    which = "smallest" if ascending else "largest"
    tiles = tuple(_annotation(table, one) for one in chosen)
    return Look(f"{_file_names(table.names)[category]}-{which}", f"{table.names[category]}: the {which}", tiles)


def _file_names(names: Sequence[str]) -> list[str]:
    """Return a name for files about each class: its letters and digits, with its number where that is not enough.

    It is not enough where the name is long, or where two names differ in capitals or signs alone.
    """
    plain = ["".join(letter if letter.isalnum() else "-" for letter in name.lower()) for name in names]
    return [
        one if len(one) <= LONGEST_NAME and plain.count(one) == 1 else f"{one[:LONGEST_NAME]}-{number}"
        for number, one in enumerate(plain, start=1)
    ]


def annotations_of(table: Table, row: int) -> Look:
    """Return each annotation of one image singly."""
    tiles = tuple(_annotation(table, one) for one in np.flatnonzero(table.image == row))
    image = table.dataset.images[row]
    return Look(f"annotations-of-{image.split}-{image.image_id}", f"Each annotation of {image.file_name}", tiles)


def _annotation(table: Table, index: int) -> tuple[int, Annotation]:
    row = int(table.image[index])
    first = int(np.searchsorted(table.image, row))
    return row, table.dataset.images[row].annotations[index - first]


def draw_look(
    look: Look, dataset: Dataset, unread: dict[int, str], step: Callable[[], None] | None = None
) -> Image.Image:
    """Return the sheet of a look, with a caption to each tile and the legend of the classes. `step` follows each tile.

    The tile of a photo that cannot be read is grey, and `unread` says by its row what is wrong with it.
    """
    colours = palette(dataset.num_classes, background=dataset.unlabelled == "background")
    tiles = list(_tiles(look, dataset, colours, unread, step))
    captions = look.captions or [caption for _, caption in tiles]
    cells = [_cell(tile, caption) for (tile, _), caption in zip(tiles, captions)]
    rows = [cells[start : start + COLUMNS] for start in range(0, len(cells), COLUMNS)]
    strips = []
    for row in rows:
        height = max(cell.shape[0] for cell in row)
        padded = [_padded(cell, height, TILE) for cell in row]
        strips.append(np.hstack([*padded, *[_padded(padded[0][:0], height, TILE)] * (COLUMNS - len(row))]))
    sheet = np.vstack(strips) if strips else np.full((TILE, TILE, 3), 255, np.uint8)
    names = {number: name for number, name in enumerate(dataset.class_names) if colours[number].any()}
    return with_legend(sheet, look.title, names, colours)


def as_png(sheet: Image.Image) -> bytes:
    stream = io.BytesIO()
    sheet.save(stream, "PNG")
    return stream.getvalue()


def _padded(cell: np.ndarray, height: int, width: int) -> np.ndarray:
    whole = np.full((height, width, 3), 255, np.uint8)
    whole[: cell.shape[0], : cell.shape[1]] = cell
    return whole


def _cell(tile: np.ndarray, caption: str) -> np.ndarray:
    cell = Image.new("RGB", (TILE, tile.shape[0] + CAPTION), "white")
    cell.paste(Image.fromarray(tile))
    ImageDraw.Draw(cell).text((2, tile.shape[0] + 2), caption, fill="black")
    return np.asarray(cell)


def _tiles(
    look: Look, dataset: Dataset, colours: np.ndarray, unread: dict[int, str], step: Callable[[], None] | None
) -> Iterator[tuple[np.ndarray, str]]:
    names = {category.id: category.name for category in dataset.categories}
    for row, annotation in look.tiles:
        image = dataset.images[row]
        try:
            if annotation is None:
                tile = _whole(image, dataset, colours)
            else:
                tile = _object(image, annotation, dataset, colours)
        except (OSError, PhotoError) as error:
            unread[row] = f"{dataset.file(image.split)}, id {image.image_id}: {image.file_name} {error}"
            tile = np.full((TILE // 2, TILE, 3), UNREAD, np.uint8)
        if annotation is None:
            caption = f"{image.image_id}: {image.path.name}"
        else:
            caption = f"{annotation.id}: {names[annotation.category_id]}"
        yield tile, caption[:38]
        if step is not None:
            step()


def _whole(image: ImageRecord, dataset: Dataset, colours: np.ndarray) -> np.ndarray:
    photo = _read(image, TILE / max(image.height, image.width))
    return overlay(photo, _nearest(dataset.mask(image.row), photo.shape), colours)


def _object(image: ImageRecord, annotation: Annotation, dataset: Dataset, colours: np.ndarray) -> np.ndarray:
    """Return one annotation, outlined, in its dimmed surroundings, uint8 (h, w, 3), the longer side TILE."""
    left, top, width, height = coco_mask.toBbox(annotation.segmentation).tolist()
    margin = max(16.0, AROUND * max(width, height))
    x, y = int(max(0, left - margin)), int(max(0, top - margin))
    right, bottom = int(min(image.width, left + width + margin)), int(min(image.height, top + height + margin))
    scale = TILE / max(right - x, bottom - y)
    photo = _read(image, min(1.0, scale))
    factor = photo.shape[0] / image.height
    crop = photo[round(y * factor) : round(bottom * factor), round(x * factor) : round(right * factor)]
    size = max(1, round((right - x) * scale)), max(1, round((bottom - y) * scale))
    crop = np.asarray(Image.fromarray(crop).resize(size, Image.Resampling.BILINEAR))
    inside = (
        _nearest(np.ascontiguousarray(coco_mask.decode(annotation.segmentation)[y:bottom, x:right]), crop.shape) > 0
    )
    shown = np.where(inside[..., None], crop, crop * DIMMED).astype(np.uint8)
    shown[_edge(inside)] = colours[dataset.class_id_of[annotation.category_id]]
    return shown


def _edge(inside: np.ndarray) -> np.ndarray:
    """Return the pixels beside a border of `inside`, on its outer side, two pixels wide; bool (H, W)."""
    grown = np.pad(inside, 2)
    height, width = inside.shape
    shifts = [grown[2 + y : 2 + y + height, 2 + x : 2 + x + width] for y in (-2, 0, 2) for x in (-2, 0, 2)]
    return np.any(shifts, axis=0) & ~inside


def _nearest(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(Image.fromarray(mask).resize((shape[1], shape[0]), Image.Resampling.NEAREST))


def _read(image: ImageRecord, scale: float) -> np.ndarray:
    size = max(1, round(image.height * scale)), max(1, round(image.width * scale))
    return decode_photo(image.path.read_bytes(), (image.height, image.width), size)
