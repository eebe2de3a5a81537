"""A member as one file that runs without this package, in the format of torch.export, TorchScript or ONNX."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ensembling.export.bundle import member_files
from ensembling.runs.members import Ensemble, Member
from trainables.files import replacing
from trainables.inference.predictor import load_model

Run = Callable[[Tensor], np.ndarray]  # images uint8 (N, 3, H, W) to logits float32 (N, C, H, W)
CHECKED_ON = 3  # random images, and then the first alone: an exported graph may work for one batch size only
BATCH = {0: torch.export.Dim("batch")}


@dataclass(frozen=True)
class Format:
    """A file format of an exported model.

    `write` traces a model on example images into a file, `read` makes a function of the file, and `needs` names the
    modules that must be installed.
    """

    file_name: str
    write: Callable[[nn.Module, Tensor, Path], None]
    read: Callable[[Path], Run]
    needs: tuple[str, ...] = ()

    @property
    def missing(self) -> list[str]:
        """Return the modules that the format needs and that are not installed."""
        return [name for name in self.needs if find_spec(name) is None]


@dataclass(frozen=True)
class Export:
    """One member in one format, or the `error` because of which it has no file.

    `difference` is the largest absolute difference between the logits of the file and of the model, and `equal` is the
    share of pixels for which both give the same class.
    """

    member: Member
    format: str
    path: Path
    difference: float = float("nan")
    equal: float = float("nan")
    error: str = ""


class Deployed(nn.Module):
    """A model that maps images uint8 (N, 3, H, W), RGB, of the training size to logits float32 (N, C, H, W).

    It computes in float32 throughout.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(self.model.normalize(images))


def export_members(ensemble: Ensemble, directory: Path, formats: Sequence[str]) -> Iterator[Export]:
    """Write each member in each of `formats` into its directory of the exported ensemble, and yield each result.

    Each file is read again and compared with the model on random images before it is renamed to its final name.
    """
    for rank, member in enumerate(ensemble.members, start=1):
        model = Deployed(load_model(member.config, member.weights, len(ensemble.class_names))).eval()
        images = _random_images(member.config.size)
        for name in formats:
            path = member_files(directory, rank).directory / FORMATS[name].file_name
            yield _export(member, name, path, model, images)


@torch.no_grad()
def _export(member: Member, name: str, path: Path, model: nn.Module, images: Tensor) -> Export:
    try:
        with replacing(path) as temporary, warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # about values that tracing makes constant, and about formats that PyTorch calls deprecated
            FORMATS[name].write(model, images, temporary)
            run = FORMATS[name].read(temporary)
            compared = [_compare(run(some), model(some).numpy()) for some in (images, images[:1])]
    except Exception as error:  # exporters raise errors of many types, and one failure does not affect the other files
        return Export(member, name, path, error=f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")
    differences, equal = zip(*compared)
    return Export(member, name, path, max(differences), min(equal))


def _compare(found: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """Return the largest absolute difference, and the share of pixels whose most probable class is the same."""
    return float(np.abs(found - expected).max()), float((found.argmax(1) == expected.argmax(1)).mean())


def _random_images(size: tuple[int, int]) -> Tensor:
    return torch.randint(0, 256, (CHECKED_ON, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def _write_program(model: nn.Module, images: Tensor, path: Path) -> None:
    program = torch.export.export(model, (images,), dynamic_shapes={"images": BATCH})
    with path.open("wb") as file:
        torch.export.save(program, file)


def _read_program(path: Path) -> Run:
    with path.open("rb") as file:
        module = torch.export.load(file).module()
    return lambda images: module(images).numpy()


def _write_script(model: nn.Module, images: Tensor, path: Path) -> None:
    torch.jit.save(torch.jit.trace(model, images, check_trace=False), path)


def _read_script(path: Path) -> Run:
    module = torch.jit.load(path)
    return lambda images: module(images).numpy()


def _write_onnx(model: nn.Module, images: Tensor, path: Path) -> None:
    torch.onnx.export(
        model,
        (images,),
        path,
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes={"images": BATCH},
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def _read_onnx(path: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: session.run(["logits"], {"images": images.numpy()})[0]


FORMATS = {
    "torch-export": Format("model.pt2", _write_program, _read_program),
    "torchscript": Format("model.torchscript.pt", _write_script, _read_script),
    "onnx": Format("model.onnx", _write_onnx, _read_onnx, needs=("onnx", "onnxscript", "onnxruntime")),
}
