"""The one error class for what a user can cause and mend."""


class UserError(ValueError):
    """What is wrong, where (file, id or key), and what to do; the command line prints it alone and exits with 2."""
