"""torch.compile for a model's training passes, and its refusals in plain words."""

from collections.abc import Callable
from typing import Any

import torch

from trainables.errors import UserError


def compiled(function: Callable[..., Any], *, of: str) -> Callable[..., Any]:
    """`function` under torch.compile: kernels are made at the first call, and anew where shapes change.

    Raises UserError, in that call, where the compiler refuses what `of` names or is not there.
    """
    from torch._dynamo.exc import TorchDynamoException  # a second of imports, for those who compile

    by_compiler = torch.compile(function)

    def call(*arguments: Any) -> Any:
        try:
            return by_compiler(*arguments)
        except TorchDynamoException as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(f"torch.compile cannot make kernels for {of} ({reason}): leave compile false") from error

    return call
