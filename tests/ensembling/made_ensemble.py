"""A small ensemble on disk as a study leaves it: trials with trained weights, and ensemble.json. Nothing is trained."""

import json
from pathlib import Path

import safetensors.torch
import torch

from tests import tiny
from trainables.files import write_json
from trainables.models import build_model
from trainables.trial.files import TrialFiles

CLASS_NAMES = ("Background", "Paper", "Glass")
HEADS = ("segformer", "fpn", "unet")


def make_study(runs: Path, *, name: str = "night", heads: tuple[str, ...] = HEADS, votes: tuple[int, ...] = ()) -> Path:
    """Writes `<runs>/<name>/` with a trial of each head, of random weights, and returns its ensemble.json."""
    members = []
    for number, head in enumerate(heads):
        config = tiny.config(head=head, seed=number)
        files = TrialFiles(runs / name / "trials" / f"{number:04d}")
        write_json(files.config, config.to_dict())
        safetensors.torch.save_file(random_weights(config, number), files.best_weights)
        member = {"rank": number + 1, "run_id": f"{name}{number}", "name": f"{name}-{number:04d}", "study": name}
        member |= {"trial": number, "votes": votes[number] if votes else 1, "miou": 0.5 - 0.1 * number}
        members.append({**member, "params": {key: str(value) for key, value in config.to_dict().items()}})
    path = runs / name / "ensemble.json"
    path.write_text(json.dumps({"members": members, "class_names": CLASS_NAMES, "crossfit_miou": 0.4}))
    return path


def random_weights(config, seed: int) -> dict[str, torch.Tensor]:
    """Of a model whose norms have seen some images, and whose classes are not all the same."""
    torch.manual_seed(seed)
    model = build_model(
        head=config.head,
        backbone=config.backbone,
        num_classes=len(CLASS_NAMES),
        pretrained=False,
        image_size=config.size,
    )
    with torch.no_grad():
        for _ in range(3):
            model.train()(torch.randn(4, 3, *config.size))
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d) and module.out_channels == len(CLASS_NAMES):
                module.weight.normal_(std=0.5)
    return {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
