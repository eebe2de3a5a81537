"""The error class for what a user can cause and mend, and those of it that are one machine's or a damaged file's."""


class UserError(ValueError):
    """What is wrong, where (file, id or key), and what to do; the command line prints it alone and exits with 2."""


class NodeError(UserError):
    """What this machine lacks, and another or a mended one may have: a trial that meets it is tried again."""


class DamagedFileError(NodeError):
    """A file that SegVote wrote is not as it was written; the message names it and says what to do."""
