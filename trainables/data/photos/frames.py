"""Photo files with several pictures, such as animations and documents of several pages: the first one is taken."""

from collections.abc import Iterable

from PIL import Image

FORMATS_OF_SEVERAL = ("GIF", "PNG", "WEBP", "TIFF")  # not MPO: what a telephone adds is the same photo in another form
_SUBFILE_TYPE, _REDUCED = 254, 1  # a tag of TIFF, and its bit that says that a page is a smaller copy of another one


def has_several(image: Image.Image) -> bool:
    """Return whether an open image file has a second picture. The image is not to be read afterwards.

    Nothing of a file with one picture is read for it that Pillow has not read to open it, but for the blocks of a GIF.
    """
    if image.format not in FORMATS_OF_SEVERAL:
        return False
    try:
        several = image.is_animated
        if several and image.format == "TIFF":
            image.seek(1)
            several = not image.tag_v2.get(_SUBFILE_TYPE, 0) & _REDUCED
    except Exception:  # Pillow raises almost anything for damaged bytes, which are told of when the photo is decoded
        return False
    return several


def say_several(photos: Iterable[tuple[str, bool]]) -> list[str]:
    """Return a sentence on the files with several pictures, given the name of every file and whether it is one."""
    names = [name for name, several in photos if several]
    if not names:
        return []
    count = "1 file holds" if len(names) == 1 else f"{len(names)} files hold"
    return [f"{count} several pictures, an animation or pages, such as {names[0]}: only the first of each is taken"]
