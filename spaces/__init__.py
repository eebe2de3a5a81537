"""The search spaces by name. A space is a file with `suggest(trial)`; to add one, write the file and add a line
here.
"""

from types import ModuleType

from spaces import all_heads, beit_heads, cnn_heads, convnext_heads, quickstart, swin_heads

SPACES: dict[str, ModuleType] = {
    "quickstart": quickstart,
    "swin_heads": swin_heads,
    "cnn_heads": cnn_heads,
    "convnext_heads": convnext_heads,
    "beit_heads": beit_heads,
    "all_heads": all_heads,
}
