"""The heads by name. A new head is a file here and a line in HEADS; tests, spaces and messages read the dict."""

from trainables.models.heads.base import Head
from trainables.models.heads.deeplabv3plus import DeepLabV3PlusHead
from trainables.models.heads.fpn import FPNHead
from trainables.models.heads.segformer import SegFormerHead
from trainables.models.heads.unet import UNetHead
from trainables.models.heads.unetplusplus import UNetPlusPlusHead
from trainables.models.heads.upernet import UPerNetHead

HEADS: dict[str, type[Head]] = {
    "unet": UNetHead,
    "unetplusplus": UNetPlusPlusHead,
    "fpn": FPNHead,
    "upernet": UPerNetHead,
    "deeplabv3plus": DeepLabV3PlusHead,
    "segformer": SegFormerHead,
}
