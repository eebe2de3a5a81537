"""Which errors are a fault of the machine, which may be repaired, and which are one of the trained configuration."""

from trainables.errors import NodeError, UserError
from trainables.hardware.out_of_memory import is_out_of_memory

# What PyTorch raises as a plain RuntimeError: a GPU that failed, and a loader process that was killed.
SAID_BY_PYTORCH = ("CUDA error", "CUDNN_STATUS", "CUBLAS_STATUS", "NCCL error", "DataLoader worker (pid")


def is_machines_fault(error: BaseException) -> bool:
    """Return whether an error is reported by the operating system, memory, a process or a GPU.

    Any other error of training would occur again, however often the same configuration is tried.
    """
    if isinstance(error, UserError):
        return isinstance(error, NodeError)
    if isinstance(error, OSError | EOFError) or is_out_of_memory(error):
        return True
    return isinstance(error, RuntimeError) and any(one in str(error) for one in SAID_BY_PYTORCH)
