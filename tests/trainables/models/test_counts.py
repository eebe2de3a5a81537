"""Parameters and multiply-accumulates of published models, counted on torch's meta device.

Papers write FLOPs and mean multiply-accumulates. Those without their auxiliary heads are so for that they have none.
"""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from trainables.models import build_model

V1C = 19_232  # three 3x3 convolutions in the stem in place of a 7x7: resnet50c has them, resnet50 has not

GREY = 2 * 9 * 32  # weights of the two further colours where the published network sees grey images
AUXILIARY = (9 * 1024 * 256 + 256 * 21) * 65 * 65 / 1e9  # GMAC of the auxiliary head, which torchvision counts
CLASS = 33  # weights and bias of the second class where the published one has a sigmoid

EXACT = [
    # head, backbone, num_classes, size, parameters, GMAC
    ("upernet", "swin_tiny_patch4_window7_224", 150, 512, 59_941_862, 236.9),
    ("upernet", "beit_base_patch16_224", 150, 640, 163_407_980, 962.2),
    ("knet_fcn", "resnet50c", 150, 512, 62_810_508, 205.1),
    ("knet_fcn", "resnet50", 150, 512, 62_810_508 - V1C, None),
    ("lawin", "mit_b2", 150, 512, 30_253_190, 45.5),
    ("lawin", "mit_b1", 150, 512, 13_613_190, 12.4),
    ("semask_fpn", "swin_tiny_patch4_window7_224", 150, 512, 34_655_748, 41.5),
    ("ocr", "hrnet_w48", 150, 512, 70_533_100, 167.1),
    ("deeplabv3plus", "resnet50c", 150, 512, 43_690_748, 177.3),
    ("deeplabv3plus", "resnet50", 150, 512, 43_690_748 - V1C, None),
    ("pspnet", "resnet50c", 150, 512, 49_076_364, 178.6),
    ("segformer", "mit_b2", 150, 512, 27_461_974, 62.3),
    ("unet", "resnet34", 11, 512, 24_437_819, None),
    ("unet_s5_d16", "unet_encoder_64", 19, (512, 1024), 29_062_886, 405.3),
    ("unet_original", "unet_encoder_32", 2, 512, 7_759_521 + GREY + CLASS, None),
]

# To the digits that were published; sizes and GMAC are of one crop where the paper's are of four.
PUBLISHED = [
    # head, backbone, num_classes, size, parameters in millions, half a unit of the last digit, GMAC
    ("upernet", "swin_tiny_patch4_window7_224", 150, 512, 60, 0.5, 945 / 4),
    ("upernet", "swin_base_patch4_window7_224", 150, 512, 121, 0.5, 1188 / 4),
    ("upernet", "convnext_tiny", 150, 512, 60, 0.5, 939 / 4),
    ("upernet", "convnext_base", 150, 512, 122, 0.5, 1170 / 4),
    ("upernet", "convnext_large", 150, 640, 235, 0.5, 2458 / 4),
    ("upernet", "beit_base_patch16_224", 150, 640, 163, 0.5, None),
    ("semask_fpn", "swin_small_patch4_window7_224", 150, 512, 56, 0.5, None),
    ("semask_fpn", "swin_large_patch4_window12_384", 150, 640, 211, 0.5, None),
    ("semask_fpn", "swin_tiny_patch4_window7_224", 19, 768, 34, 0.5, None),
    # 696.2 GMAC are published, which leave 18 for a head whose first convolution alone has 68; ocr's body is the same.
    ("fcn", "hrnet_w48", 19, (1024, 2048), 65.8, 0.05, None),
    ("ocr", "hrnet_w48", 19, (1024, 2048), 70.5, 0.05, 1296.8),
    ("segformer", "mit_b0", 150, 512, 3.8, 0.05, 8.4),
    ("segformer", "mit_b5", 150, 640, 84.7, 0.05, 183.3),
    ("segformer", "mit_b5", 19, (1024, 2048), 84.7, 0.05, 1447.6),
    ("segformer", "mit_b2", 150, 512, 27.5, 0.05, 62.4),
    ("deeplabv3plus", "resnet101c", 150, 512, 62.7, 0.05, 255.1),
    ("lawin", "mit_b2", 150, 512, 30, 0.5, 45),
    ("fcn_torchvision", "resnet50", 21, 520, 35.322, 0.0005, 152.717 - AUXILIARY),
    ("deeplabv3_torchvision", "resnet50", 21, 520, 42.004, 0.0005, 178.722 - AUXILIARY),
    ("unetplusplus_original", "unet_encoder_32", 2, 512, 9.0417 + (GREY + 4 * CLASS) / 1e6, 0.0001, None),
]


def spared(head, backbone, size):
    """GMAC that our SegFormer head does not spend, since it mixes each map at its own stride instead of at stride 4."""
    if head != "segformer":
        return 0.0
    width = 256 if backbone == "mit_b0" else 768
    height, breadth = size if isinstance(size, tuple) else (size, size)
    return sum(height * breadth * (1 / 4**2 - 1 / stride**2) * width**2 for stride in (8, 16, 32)) / 1e9


def count(head, backbone, num_classes, size):
    """Parameters, and GMAC of one image's forward pass."""
    size = size if isinstance(size, tuple) else (size, size)
    with torch.device("meta"), torch.no_grad():
        model = build_model(
            head=head, backbone=backbone, num_classes=num_classes, image_size=size, pretrained=False
        ).eval()
        with FlopCounterMode(display=False) as counter:
            model(torch.empty(1, 3, *size))
    return sum(parameter.numel() for parameter in model.parameters()), counter.get_total_flops() / 2e9


@pytest.mark.parametrize(("head", "backbone", "num_classes", "size", "parameters", "gmac"), EXACT)
def test_parameters_are_the_published_ones_to_the_last(head, backbone, num_classes, size, parameters, gmac):
    counted, computed = count(head, backbone, num_classes, size)
    assert counted == parameters
    assert gmac is None or computed + spared(head, backbone, size) == pytest.approx(gmac, rel=0.01)


@pytest.mark.parametrize(("head", "backbone", "num_classes", "size", "millions", "rounding", "gmac"), PUBLISHED)
def test_counts_round_to_the_published_ones(head, backbone, num_classes, size, millions, rounding, gmac):
    counted, computed = count(head, backbone, num_classes, size)
    assert counted / 1e6 == pytest.approx(millions, abs=rounding, rel=0.01)
    assert gmac is None or computed + spared(head, backbone, size) == pytest.approx(gmac, rel=0.03)
