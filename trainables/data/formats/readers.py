"""The formats that can be read, by the name that the command line gives them."""

from collections.abc import Callable
from pathlib import Path

from trainables.data.formats.coco_layouts import read_coco, read_roboflow
from trainables.data.formats.cvat import read_cvat
from trainables.data.formats.imported import Imported, ImportOptions
from trainables.data.formats.label_studio import read_label_studio
from trainables.data.formats.labelme import read_labelme
from trainables.data.formats.masks import read_ade20k, read_cityscapes, read_masks, read_voc
from trainables.data.formats.yolo import read_yolo

READERS: dict[str, Callable[[Path, ImportOptions], Imported]] = {
    "roboflow": read_roboflow,
    "yolo": read_yolo,
    "cityscapes": read_cityscapes,
    "voc": read_voc,
    "ade20k": read_ade20k,
    "coco": read_coco,
    "cvat": read_cvat,
    "masks": read_masks,
    "labelme": read_labelme,
    "label-studio": read_label_studio,
}
