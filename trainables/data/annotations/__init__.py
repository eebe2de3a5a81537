"""The annotations of a COCO file: their checks, and the class maps that are painted from them."""
