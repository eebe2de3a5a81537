"""Checkpoints of other code bases, in various names and sizes: safely read, translated, loaded and reported on."""

import logging
import pickle
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from trainables.errors import UserError
from trainables.files import check_fetched
from trainables.models.pretrained.dialects import recognised
from trainables.models.pretrained.equivalents import same_colours, same_norms, statistics_of
from trainables.models.pretrained.positions import fitted

log = logging.getLogger(__name__)

LEAST_LOADED = 0.9  # of the backbone's parameters
WRAPPERS = ("state_dict", "model", "module")  # keys under which training scripts put the tensors
PREFIXES = ("module.", "backbone.", "encoder.", "model.")  # of a backbone in a larger model
COMPUTED = re.compile(r"(^|\.)(relative_position_index|relative_coords_table|attn_mask|k_bias|num_batches_tracked)$")


@dataclass(frozen=True)
class LoadReport:
    """The result of loading a checkpoint, as names of the model's tensors, or for `left_out` of the file's tensors."""

    path: Path
    dialect: str
    loaded: tuple[str, ...]
    resized: tuple[str, ...]  # part of `loaded`
    left_out: tuple[str, ...]  # in the file, not in the model
    left_over: tuple[str, ...]  # in the model, not in the file
    share: float  # loaded of the backbone's parameters, by numbers of elements

    def summary(self) -> str:
        """Return four lines: how much was loaded, and the other three lists in short."""
        return "\n".join(
            (
                f"{self.path.name}, in {self.dialect} names: {len(self.loaded)} tensors loaded, "
                f"{self.share:.1%} of the backbone's parameters",
                f"  resized: {_in_short(self.resized)}",
                f"  left out (in the file, not in the backbone): {_in_short(self.left_out)}",
                f"  left over (in the backbone, not in the file): {_in_short(self.left_over)}",
            )
        )


def _in_short(names: tuple[str, ...]) -> str:
    """Return the counts of names by their prefix, such as "head (2), neck (14)"; a few names are listed one by one."""
    if len(names) <= 3:
        return ", ".join(names) or "none"
    kinds = Counter(re.sub(r"[._]\d.*", "", name) if re.search(r"[._]\d", name) else name for name in names)
    shown = [f"{kind} ({count})" for kind, count in kinds.most_common(5)]
    return ", ".join(shown) + (f" and {len(kinds) - 5} more kinds" if len(kinds) > 5 else "")


def load_checkpoint(model: nn.Module, path: str | Path, *, allow_partial: bool = False) -> LoadReport:
    """Load a checkpoint of any known dialect into `model`, a backbone, and report on it, also in the log.

    Tables of positions are resized to the model's. Raises UserError where the file cannot be read or needs code to
    be run, and where it has less than 90 % of the model's parameters, unless `allow_partial`.
    """
    path = Path(path)
    state = _without_prefixes(read_checkpoint(path))
    dialect = recognised(state)
    given = dialect.to_timm({key: tensor for key, tensor in state.items() if not COMPUTED.search(key)})
    found, resized = match_tensors(model, given)
    used = {name for name, _ in found.values()}
    own = {key: tensor for key, tensor in model.state_dict().items() if not COMPUTED.search(key)}
    report = LoadReport(
        path=path,
        dialect=dialect.name,
        loaded=tuple(found),
        resized=resized,
        left_out=tuple(name for name in given if name not in used),
        left_over=tuple(key for key in own if key not in found),
        share=_share(model, found),
    )
    if report.share < LEAST_LOADED and not allow_partial:
        raise UserError(
            f"less than {LEAST_LOADED:.0%} of the backbone's parameters are in {report.summary()}\n"
            "Take the backbone that the file was made with, or allow this with --init-partial"
        )
    tensors = {key: tensor for key, (_, tensor) in found.items()}
    if dialect.eps:
        tensors = same_norms(model, tensors, dialect.eps(state))
    if dialect.statistics:
        tensors = same_colours(tensors, dialect.statistics, statistics_of(model))
    model.load_state_dict(model.state_dict() | tensors)
    log.info("initial weights: %s", report.summary())
    for kind in ("resized", "left_out", "left_over"):
        for name in getattr(report, kind):
            log.info("initial weights: %s: %s", kind.replace("_", " "), name)
    return report


def _share(model: nn.Module, found: dict[str, Any]) -> float:
    sizes = {key: parameter.numel() for key, parameter in model.named_parameters()}
    return sum(size for key, size in sizes.items() if key in found) / max(1, sum(sizes.values()))


def match_tensors(model: nn.Module, given: dict[str, Tensor]) -> tuple[dict[str, tuple[str, Tensor]], tuple[str, ...]]:
    """Return ({model's key: (given key, tensor in the model's shape)}, the model's keys of those that were resized).

    The model may be wrapped, and so have a prefix to all the keys that `given` has, and may write `stages_0` for
    `stages.0`, as timm's feature extractors do. What has another shape that it cannot be brought to does not match.
    """
    own = model.state_dict()
    found = {
        key: (name, tensor)
        for key, name in paired(own, given).items()
        if (tensor := fitted(model, key, own[key], given[name])) is not None
    }
    resized = tuple(key for key, (name, tensor) in found.items() if tensor.numel() != given[name].numel())
    return found, resized


def paired(own: dict[str, Tensor], given: dict[str, Tensor]) -> dict[str, str]:
    """Return {own key: given key}, by that prefix of own keys, or none, which makes most pairs."""
    by_name = {canonical(key): key for key in given}
    prefixes = {"", *(key[: dot.end()] for key in own for dot in list(re.finditer(r"\.", key))[:3])}
    pairings = [
        {
            key: by_name[name]
            for key in own
            if key.startswith(prefix) and (name := canonical(key.removeprefix(prefix))) in by_name
        }
        for prefix in sorted(prefixes, key=len)
    ]
    return max(pairings, key=len)


def canonical(key: str) -> str:
    """Return the key of the full model, `stages.0`, where timm's feature extractors write `stages_0`."""
    return key.replace("_", ".")


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, or of a PyTorch file that holds nothing but tensors and plain values.

    The content says which it is, since files of both kinds have the endings of either. Raises UserError where it is
    neither (as where a web page was downloaded instead), where it cannot be read, or only by running code that is in
    it, and where it holds no tensors.
    """
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}: give the path of a .safetensors, .pth, .pt or .bin file")
    content = _content(path)
    while wrapper := next((key for key in WRAPPERS if isinstance(content.get(key), dict)), None):
        content = content[wrapper]
    tensors = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if not tensors:
        raise UserError(f"{path} holds no tensors: it must be a state dict, or have one under {' or '.join(WRAPPERS)}")
    return tensors


def _content(path: Path) -> dict[str, Any]:
    try:
        check_fetched(path)
        with path.open("rb") as stream:
            start = stream.read(9)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check its permissions") from error
    # The JSON of a safetensors file stands behind eight bytes of its length, which may look like the start of a pickle.
    safetensors = start[8:] == b"{"
    if not safetensors and start.startswith((b"PK\3\4", b"\x80")):  # a zip archive, or a pickle (PyTorch before 1.6)
        return _read_pytorch(path)
    if not safetensors:
        kinds = "neither a safetensors file nor one of PyTorch"
        raise UserError(f"{path} is {kinds}, since it begins with {start!r}; copy or download it again")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a readable safetensors file ({error}): copy or download it again") from error


def _read_pytorch(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:  # of a path, PyTorch believes the ending
            content = torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        needs = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise UserError(
            f"{path} is refused: reading it would run code that is in it"
            f"{f' ({needs[1]})' if needs else ''}. Where you trust its origin, save its tensors alone: "
            "safetensors.torch.save_file(state_dict, FILE)"
        ) from error
    except Exception as error:  # a broken archive makes the reader raise errors of many types
        reason = (str(error).splitlines() or [""])[0]
        raise UserError(f"{path} is not a readable PyTorch file ({type(error).__name__}: {reason})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, but must hold a state dict")
    return content


def _without_prefixes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a backbone's keys without the prefix that a larger model puts before them.

    Keys without that prefix stay as they are.
    """
    while prefix := next((prefix for prefix in PREFIXES if any(key.startswith(prefix) for key in state)), None):
        state = {key.removeprefix(prefix): tensor for key, tensor in state.items()}
    return state
