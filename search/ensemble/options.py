"""EnsembleOptions: whose runs may vote and how members are chosen, and the command that asks for the same again."""

import dataclasses
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainables.errors import UserError
from trainables.inference.tta import TestTimeAugmentation

RECORDED = (
    *(
        "studies",
        "min_miou",
        "all_candidates",
        "mixed_edits",
        "mode",
        "max_members",
        "must_include",
        "start",
        "beam_width",
        "shortlist",
        "seed",
    ),
    *("tta", "window", "overlap"),
)
OF_THE_MACHINE = ("threads", "memory")  # they change no result
MODES = ("greedy", "swap", "beam", "exhaustive", "bagged_images", "bagged_runs", "replacement")


@dataclass(frozen=True, kw_only=True)
class EnsembleOptions:
    """One `segvote ensemble` command; the end of a search is one on its own study."""

    studies: tuple[str, ...]
    where: str = ""  # MLflow's filter string
    min_miou: float | None = None
    all_candidates: bool = False
    mixed_edits: bool = False  # whether studies with different edits of the training labels may vote together
    mode: str = "greedy"
    max_members: int = 15
    must_include: tuple[str, ...] = ()  # names or ids of runs, as are those of `start`
    start: tuple[str, ...] = ()
    beam_width: int = 8
    shortlist: int | None = None  # how many candidates are looked at closely
    seed: int = 0
    threads: int | None = None  # all cores
    memory: float | None = None  # GiB
    tta: tuple[str, ...] = ()
    window: bool = False
    overlap: float = 0.5
    data: str | None = None  # where the holdout's photos are, if not where the studies had them
    cache_dir: Path = Path("~/.cache/segvote")
    runs_dir: Path = Path("runs")
    tracking_uri: str | None = None

    def __post_init__(self) -> None:
        for name in ("runs_dir", "cache_dir"):
            object.__setattr__(self, name, Path(getattr(self, name)).expanduser().resolve())
        if self.data and self.views.plain:
            raise UserError("--data is where --tta and --window find the photos: without them none is needed")

    @property
    def views(self) -> TestTimeAugmentation:
        """What the candidates' class maps are averaged over. Raises UserError for impossible ones."""
        return TestTimeAugmentation.parse(self.tta, window=self.window, overlap=self.overlap)

    def recorded(self) -> dict[str, Any]:
        """Return what ensemble.json keeps of it, by field of an EnsembleRecord; the command has the rest."""
        return {name: getattr(self, name) for name in RECORDED}

    def command(self, ended_by: int) -> str:
        """What to type for the same ensemble, also when the studies have more runs: `ended_by` in ms since 1970."""
        clause = f"attributes.end_time <= {ended_by}"
        where = self.where if clause in self.where else " and ".join(filter(None, [self.where, clause]))
        same = dataclasses.replace(self, where=where)
        return shlex.join(["segvote", "ensemble", *same._flags()])

    def _flags(self) -> Iterator[str]:
        """Those that differ from their defaults."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            default = field.default.expanduser().resolve() if isinstance(field.default, Path) else field.default
            if value == default or field.name in OF_THE_MACHINE:
                continue
            yield "--" + field.name.replace("_", "-")
            if value is not True:
                yield from map(str, value if isinstance(value, tuple) else (value,))
