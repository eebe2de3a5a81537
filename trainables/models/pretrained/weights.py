"""Pretrained weights of a backbone, loaded completely."""

from pathlib import Path

from torch import Tensor, nn

from trainables.errors import UserError
from trainables.models.pretrained.checkpoints import match_tensors, paired, read_checkpoint
from trainables.models.pretrained.dialects import recognised


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
