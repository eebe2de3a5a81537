"""torch.compile for a model's training passes, whose errors are reported in plain words."""

from collections.abc import Callable
from typing import Any

import torch

from trainables.errors import UserError


def compiled(function: Callable[..., Any], *, of: str) -> Callable[..., Any]:
    """Return `function` under torch.compile: kernels are compiled at the first call, and again where shapes change.

    That call raises UserError where the compiler fails on the model that `of` names, or is not installed.
    """
    from torch._dynamo.exc import (
        TorchDynamoException,
    )  # takes a second to import, so only those who compile wait for it

    by_compiler = torch.compile(function)

    def call(*arguments: Any) -> Any:
        try:
            return by_compiler(*arguments)
        except TorchDynamoException as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(f"torch.compile cannot make kernels for {of} ({reason}): leave compile false") from error

    return call
