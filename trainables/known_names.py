"""The names that a configuration may use, which are read from source files.

Importing torch and timm takes many seconds, and a mistyped name should be reported at once.
"""

import ast
import re
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from trainables.errors import UserError, nearest

ROOT = Path(__file__).resolve().parent
TABLES = {  # key of a configuration: the file below trainables/ and the dict in it whose keys are the names
    "head": ("models/heads/__init__.py", "HEADS"),
    "loss": ("losses/losses.py", "LOSSES"),
    "optimizer": ("optim/optimizers.py", "OPTIMIZERS"),
    "augmentation": ("data/batches/policies.py", "AUGMENTATIONS"),
    "schedule": ("optim/schedules.py", "SCHEDULES"),
}
OWN_BACKBONES = "models/backbones/contracting_path.py"  # registered with timm, as its own are
ONE_CYCLE = "one_cycle"  # a schedule with a table of its own: it is no function of progress alone
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
CLASS_WEIGHTS = ("none", "inverse_sqrt")
MIX_TRANSFORMERS = tuple(f"mit_b{size}" for size in range(6))
REGISTERED = re.compile(r"@register_model\s*\ndef (\w+)")
DEPRECATED = re.compile(r"register_model_deprecations\(__name__, \{(.*?)\}\)", re.DOTALL)


@cache
def known_names() -> dict[str, tuple[str, ...]]:
    """Return the allowed values of every key of a configuration that takes a name, except the backbone."""
    names = {key: _keys(ROOT / file, table) for key, (file, table) in TABLES.items()}
    names["schedule"] += (ONE_CYCLE,)
    return names | {"precision": PRECISIONS, "class_weights": CLASS_WEIGHTS}


def _keys(file: Path, table: str) -> tuple[str, ...]:
    """Return the literal keys of the dict that the module-level name `table` is assigned in `file`."""
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.AnnAssign) and getattr(statement.target, "id", None) == table:
            return tuple(key.value for key in statement.value.keys)
    raise LookupError(f"{file} has no annotated dict {table}")


@cache
def timm_models() -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the names of timm's models, and the old names that timm still takes for some of them."""
    files = [*(Path(find_spec("timm").origin).parent / "models").glob("*.py"), ROOT / OWN_BACKBONES]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    old = (re.findall(r"['\"](\w+)['\"]\s*:", entries) for entries in DEPRECATED.findall(text))
    return tuple(sorted(set(REGISTERED.findall(text)))), frozenset(name for names in old for name in names)


def check_name(key: str, value: str) -> None:
    """Raise UserError, with the nearest names, where `value` is none of the names that `key` takes."""
    if key == "backbone":
        check_backbone(value)
        return
    known = known_names().get(key)
    if known and value not in known:
        raise UserError(f"unknown {key} {value!r}{nearest(value, known)}: choose one of {', '.join(known)}")


def _registered(model: str) -> bool:
    """Return whether `model` was registered with timm at run time, so that no source file of timm names it."""
    timm = sys.modules.get("timm")
    return timm is not None and hasattr(timm, "is_model") and timm.is_model(model)


def check_backbone(name: str) -> None:
    """Raise UserError, with the nearest names, where `name` is neither a timm model nor a Mix Transformer."""
    model, _, tag = name.partition(".")
    names, old_names = timm_models()
    if model not in names and model not in old_names and name not in MIX_TRANSFORMERS and not _registered(model):
        hint = nearest(name, [*MIX_TRANSFORMERS, *names], most=5)
        hint = hint or ": swin_tiny_patch4_window7_224, convnext_tiny, resnet50 and mit_b0 are some that there are"
        raise UserError(f"unknown backbone {name!r}{hint}; timm.list_models() has all names")
    if tag:
        import timm  # only here: it takes seconds

        tags = timm.list_pretrained(f"{model}.*")
        if name not in tags:
            raise UserError(f"unknown pretrained tag in backbone {name!r}: choose one of {', '.join(tags)}")
