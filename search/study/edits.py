"""The corrections of labels that a search is asked for: --edits FILE for all trials, or --grid edits=none,FILE."""

from pathlib import Path

from search.study.pins import parse_choices, parse_fix
from search.study.settings import Settings
from trainables.data.edits import NO_EDITS, Edits, read_edits
from trainables.errors import UserError


def asked_edits(settings: Settings) -> list[Edits]:
    """Return the edits files that flags name, each read once.

    Raises UserError for a file that holds no edits, and where trials with different labels would be scored on different
    holdouts.
    """
    axes = parse_choices([one for one in settings.grid if one.partition("=")[0].strip() == "edits"])
    fixed, narrowed = parse_fix(settings.fix), parse_choices(settings.choices)
    names = [settings.edits, fixed.get("edits"), *axes.get("edits", ()), *narrowed.get("edits", ())]
    edits = [read_edits(Path(name)) for name in dict.fromkeys(names) if name not in (None, NO_EDITS)]
    for one in edits:
        if one.apply_to_holdout and one.name != settings.edits:
            raise UserError(
                f"{one.name} has apply_to_holdout: true, so that trials with and without it would be scored on "
                "different holdouts and could not be compared: give it as --edits for all trials, or remove that line"
            )
    return edits
