"""Ray imports this module in each worker process that it starts, so that a trial finds PyTorch and timm imported.

They are imported in a thread: the process counts as ready for a trial only when the import of this module has ended,
and Ray starts another one for a trial that finds none ready. The trial's own import statements wait for the thread.
"""

import os
import sys
import threading

from trainables.hardware.loader_server import START_AHEAD, start_loader_server


def _import_all() -> None:
    # timm imports Weights & Biases where it is installed, which takes a tenth of all; only the driver writes to it.
    sys.modules.setdefault("wandb", None)
    if os.environ.get(START_AHEAD):
        start_loader_server()  # it imports PyTorch at the same time as this process
    from trainables.ray_trainable import SegmentationTrainable  # noqa: F401
    from trainables.trial.trial import Trial  # noqa: F401


threading.Thread(target=_import_all, name="imports", daemon=True).start()
