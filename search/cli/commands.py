"""All commands of `segvote`, in the order in which a user needs them."""

import click

from search.cli.data import data_command
from search.cli.ensemble import ensemble_command
from search.cli.export import export_command
from search.cli.foresee import foresee_command
from search.cli.predict import predict_command
from search.cli.pseudo import pseudo_command
from search.cli.refit import refit_command
from search.cli.report import report_command
from search.cli.status import status_command
from search.cli.ui import ui_command
from search.cli.vote import vote_command
from search.run import search_command


class InOrder(click.Group):
    """A group that lists its commands in the order in which they were added."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)


@click.group(
    cls=InOrder,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="Start with `segvote search`: it trains small models on a built-in data set. `segvote COMMAND --help` shows "
    "an example of each command.",
)
def commands() -> None:
    """Search hyperparameters of semantic-segmentation models on Ray, and select the best vote among the trials."""


for command in (
    data_command,
    search_command,
    status_command,
    report_command,
    ensemble_command,
    predict_command,
    foresee_command,
    refit_command,
    export_command,
    pseudo_command,
    vote_command,
    ui_command,
):
    commands.add_command(command)
