"""Who may use the Ray cluster that a search starts on its machine, which is set before ray is imported.

Ray's processes listen on all interfaces, whatever they are told (seen with Ray 2.60). What keeps others out is that
they take no request without a token.
"""

import os
import secrets
import sys

TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def close_own_cluster() -> None:
    """Set the mode and the token of a cluster that this process is to start, where the user has set none.

    The token is in the environment of the cluster's own processes, instead of a file that others may read. The mode
    can be set only before ray is imported; afterwards it is left to Ray, whose own default for a new cluster is the
    same.
    """
    if "ray" not in sys.modules:
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    if not any(name in os.environ for name in TOKENS):
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
