"""Whose fault an error is: the machine's, which may be mended, or that of the configuration that was trained."""

from trainables.errors import NodeError, UserError
from trainables.hardware.out_of_memory import is_out_of_memory

# What PyTorch raises as a plain RuntimeError: a GPU that failed, and a loader process that was killed.
SAID_BY_PYTORCH = ("CUDA error", "CUDNN_STATUS", "CUBLAS_STATUS", "NCCL error", "DataLoader worker (pid")


def is_machines_fault(error: BaseException) -> bool:
    """Return whether the machine itself says that it failed: by the operating system, its memory, a process or a GPU.

    Whatever else training raises would come again, however often the same configuration is tried.
    """
    if isinstance(error, UserError):
        return isinstance(error, NodeError)
    if isinstance(error, OSError | EOFError) or is_out_of_memory(error):
        return True
    return isinstance(error, RuntimeError) and any(one in str(error) for one in SAID_BY_PYTORCH)
