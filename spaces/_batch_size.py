"""An estimate of how many photos fit a 32 GB card at once. Nothing here was measured on a card.

    bytes = 18 × parameters + photos × (3 × kept values + 60 × pixels)

The 18 bytes of a parameter are its value, its gradient and AdamW's two moments in float32, and a copy in half
precision. Kept values are those that autograd keeps for the backward pass. They were counted on torch's meta device for
one 512 × 512 photo, and are proportional to its pixels. Most take 2 bytes in mixed precision and those of norms 4
bytes, hence the 3. Logits, their softmax and the loss are float32 maps of about 11 classes, which take 60 bytes per
pixel, and more where there are auxiliary heads.
"""

CARD_GB = 32.0
SHARE = 0.8  # of the card; the allocator, cuDNN's workspaces and more classes may take the rest
PIXELS = 512 * 512

# Millions of parameters, and of kept values per photo at output stride 32 and (if the family can be dilated) at 8.
BACKBONES = {
    "swin_tiny_patch4_window7_224": (28, 151, 151),
    "swin_small_patch4_window7_224": (49, 239, 239),
    "swin_base_patch4_window7_224": (87, 319, 319),
    "swin_large_patch4_window7_224": (195, 478, 478),
    "convnext_tiny": (28, 143, 382),
    "convnext_small": (50, 228, 722),
    "convnext_base": (88, 303, 962),
    "convnext_large": (196, 454, 1442),
    "beit_base_patch16_224": (93, 340, 340),
    "beitv2_base_patch16_224": (93, 340, 340),
    "beit_large_patch16_224": (317, 886, 886),
    "beitv2_large_patch16_224": (317, 886, 886),
    "mit_b3": (44, 233, 233),
    "hrnet_w48": (65, 272, 272),
    "resnet50": (24, 111, 247),
    "tf_efficientnet_b3": (10, 222, 686),
    "tf_efficientnet_lite0": (3, 103, 287),
    "mobilenetv2_100": (2, 101, 239),
}

# The same for heads. Where the number depends on the backbone's widths and strides, it is the largest.
HEADS = {
    "unet": (9, 62),
    "unetplusplus": (26, 288),
    "fpn": (3, 23),
    "upernet": (43, 118),
    "deeplabv3plus": (28, 173),
    "deeplabv3": (45, 146),
    "fcn": (26, 113),
    "ocr": (13, 113),
    "segformer": (5, 92),
    "lawin": (8, 142),
    "semask_fpn": (12, 53),
    "knet_upernet": (56, 145),
}
DILATING = ("deeplabv3plus", "deeplabv3", "fcn", "ocr")  # heads that dilate the backbone to stride 8


def estimated_gb(backbone: str, head: str, photos: int, *, image_size: int = 512) -> float:
    """Return the estimated memory of a training step in GB (2^30 bytes).

    Args:
        backbone: The backbone; one that is not in the tables counts as the largest there.
        head: The head, likewise.
        photos: How many photos are in memory at once.
        image_size: Height and width of the photos, in pixels.
    """
    body, kept, dilated = BACKBONES.get(backbone) or max(BACKBONES.values(), key=lambda row: row[1])
    top, kept_by_head = HEADS.get(head) or max(HEADS.values(), key=lambda row: row[1])
    values = 1e6 * ((dilated if head in DILATING else kept) + kept_by_head)
    pixels = image_size**2
    return (18e6 * (body + top) + photos * (3 * values * pixels / PIXELS + 60 * pixels)) / 2**30


def batch(backbone: str, head: str, effective: int, *, image_size: int = 512) -> dict[str, int]:
    """Return {"batch_size", "accumulate"}, whose batch size is the largest number of photos that fits the card at once.

    Args:
        backbone: The backbone, as for `estimated_gb`.
        head: The head, likewise.
        effective: The product of the two, which must be a power of two.
        image_size: Height and width of the photos, in pixels.
    """
    photos = effective
    while photos > 1 and estimated_gb(backbone, head, photos, image_size=image_size) > SHARE * CARD_GB:
        photos //= 2
    return {"batch_size": photos, "accumulate": effective // photos}
