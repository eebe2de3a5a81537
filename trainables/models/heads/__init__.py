"""The heads by name. A new head is a file here and a line in HEADS; tests, spaces and messages read the dict."""

from trainables.models.heads.base import Head
from trainables.models.heads.deeplabv3 import DeepLabV3Head
from trainables.models.heads.deeplabv3_torchvision import TorchvisionDeepLabV3Head
from trainables.models.heads.deeplabv3plus import DeepLabV3PlusHead
from trainables.models.heads.fcn import FCNHead
from trainables.models.heads.fcn_torchvision import TorchvisionFCNHead
from trainables.models.heads.fpn import FPNHead
from trainables.models.heads.knet import KNetDeepLabV3Head, KNetFCNHead, KNetPSPNetHead, KNetUPerNetHead
from trainables.models.heads.lawin import LawinHead
from trainables.models.heads.ocr import OCRHead
from trainables.models.heads.pspnet import PSPNetHead
from trainables.models.heads.segformer import SegFormerHead
from trainables.models.heads.semask import SeMaskFPNHead
from trainables.models.heads.unet import UNetHead
from trainables.models.heads.unet_original import OriginalUNetHead
from trainables.models.heads.unet_s5_d16 import UNetS5D16Head
from trainables.models.heads.unetplusplus import UNetPlusPlusHead
from trainables.models.heads.unetplusplus_original import OriginalUNetPlusPlusHead
from trainables.models.heads.upernet import UPerNetHead

HEADS: dict[str, type[Head]] = {
    "unet": UNetHead,
    "unetplusplus": UNetPlusPlusHead,
    "fpn": FPNHead,
    "upernet": UPerNetHead,
    "deeplabv3plus": DeepLabV3PlusHead,
    "segformer": SegFormerHead,
    "fcn": FCNHead,
    "pspnet": PSPNetHead,
    "deeplabv3": DeepLabV3Head,
    "lawin": LawinHead,
    "semask_fpn": SeMaskFPNHead,
    "knet_fcn": KNetFCNHead,
    "knet_deeplabv3": KNetDeepLabV3Head,
    "knet_pspnet": KNetPSPNetHead,
    "knet_upernet": KNetUPerNetHead,
    "ocr": OCRHead,
    "fcn_torchvision": TorchvisionFCNHead,
    "deeplabv3_torchvision": TorchvisionDeepLabV3Head,
    "unet_s5_d16": UNetS5D16Head,
    "unet_original": OriginalUNetHead,
    "unetplusplus_original": OriginalUNetPlusPlusHead,
}
