"""Where the benchmarks find real data, beside the checkout: benchmarks that need it are skipped without it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CAMVID = ROOT.parent / "shared" / "data" / "camvid"
WEIGHTS = ROOT.parent / "shared" / "weights"

BACKBONE = "tf_efficientnet_lite0"
SIZE = (192, 240)  # (height, width)
BATCH_SIZE = 8
