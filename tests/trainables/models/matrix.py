"""`python -m tests.trainables.models.matrix`: check every head on every family of backbones, and print what fails.

The test of the same name runs the same checks, of a part of the pairs.
"""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F

from tests.trainables.models.micro import FAMILIES
from trainables.models import HEADS, SegmentationModel, build_model
from trainables.models.heads import deeplabv3, deeplabv3_torchvision, deeplabv3plus, fcn, knet, pspnet, upernet

SIZE = (97, 131)


def build(head: str, family: str, num_classes: int) -> SegmentationModel:
    """Return a model whose parameters all act: as built, some gains are zero and hide what lies before them."""
    torch.manual_seed(0)
    model = build_model(
        head=head, backbone=FAMILIES[family], num_classes=num_classes, image_size=SIZE, pretrained=False
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.02)
    return model


def classes_of(head: str, family: str) -> int:
    """2 or 12, in turns over the matrix."""
    return 12 if (list(HEADS).index(head) + list(FAMILIES).index(family)) % 2 else 2


def check_training(model: SegmentationModel, num_classes: int) -> None:
    """One image of odd size gives a finite gradient at every trainable parameter."""
    outputs = model.train().training_logits(torch.randn(1, 3, *SIZE))
    target = torch.randint(num_classes, (1, *SIZE))
    assert outputs[0][0] == 1.0
    for _, logits in outputs:
        assert logits.shape == (1, num_classes, *SIZE)
    sum(weight * F.cross_entropy(logits, target) for weight, logits in outputs).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    idle = [name for name, gradient in gradients.items() if gradient is None or not gradient.any()]
    assert not idle, f"no gradient at {', '.join(idle)}"
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    model.zero_grad()


def check_evaluation(model: SegmentationModel, num_classes: int) -> None:
    """An image's logits do not depend on the others of its batch, and repeat, also after saving and loading."""
    images = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        logits = model.eval()(images)
        assert logits.shape == (2, num_classes, *SIZE)
        scale = logits.abs().max()
        assert torch.allclose(logits[1:], model(images[1:]), atol=1e-4 * scale)
        stored = io.BytesIO()
        torch.save(model.state_dict(), stored)
        for parameter in model.parameters():
            parameter.zero_()
        model.load_state_dict(torch.load(io.BytesIO(stored.getvalue()), weights_only=True))
        assert torch.equal(logits, model(images))


def check_mixed_precision(model: SegmentationModel, num_classes: int) -> None:
    """In bfloat16 autocast and channels last, logits are near to those in float32."""
    images = torch.randn(1, 3, *SIZE)
    with torch.no_grad():
        expected = model.eval()(images)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            low = model.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last)).float()
    assert (low - expected).abs().mean() < 0.1 * expected.abs().mean()


def check_export(model: SegmentationModel, num_classes: int) -> None:
    """torch.export gives a program with the same logits."""
    images = (torch.randn(1, 3, *SIZE),)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(model.eval(), images)
        expected = model(*images)
        assert torch.allclose(program.module()(*images), expected, atol=1e-4 * expected.abs().max())


CHECKS: dict[str, Callable[[SegmentationModel, int], None]] = {
    "training": check_training,
    "evaluation": check_evaluation,
    "mixed precision": check_mixed_precision,
}
WIDE = (deeplabv3, deeplabv3_torchvision, deeplabv3plus, fcn, pspnet, upernet)
EXPORT_FAMILY = "MobileNet"  # exporting takes seconds


@contextlib.contextmanager
def narrow_heads() -> Iterator[None]:
    """Heads of 64 channels in place of 512: the same layers in a fraction of the time."""
    widths = [(module, "WIDTH", 64) for module in WIDE]
    widths += [(knet, "UPDATE_WIDTH", 32), (knet, "FFN_WIDTH", 64)]
    before = [(module, name, getattr(module, name)) for module, name, _ in widths]
    for module, name, width in widths:
        setattr(module, name, width)
    try:
        yield
    finally:
        for module, name, width in before:
            setattr(module, name, width)


def failures(head: str, family: str) -> list[str]:
    """Return the names of the checks that fail."""
    num_classes = classes_of(head, family)
    model = build(head, family, num_classes)
    checks = CHECKS | ({"export": check_export} if family == EXPORT_FAMILY else {})
    failed = []
    for name, check in checks.items():
        try:
            check(model, num_classes)
        except Exception as error:  # whatever a check stumbles over is its result
            print(f"{head} on {family}, {name}: {type(error).__name__}: {str(error)[:200]}", flush=True)
            failed.append(name)
    return failed


def main() -> None:
    torch.set_num_threads(1)
    with narrow_heads():
        failed = sum(bool(failures(head, family)) for head in HEADS for family in FAMILIES)
    print(f"{failed} of {len(HEADS) * len(FAMILIES)} pairs of head and family failed")


if __name__ == "__main__":
    main()
