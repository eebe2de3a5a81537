"""EnsembleOptions: which runs may vote and how members are chosen, and the command that repeats the selection."""

import dataclasses
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainables.errors import UserError
from trainables.inference.tta import TestTimeAugmentation

RECORDED = (
    "studies", "min_miou", "all_candidates", "mixed_edits", "mode", "max_members", "must_include", "start",
    "beam_width", "shortlist", "seed", "tta", "window", "overlap",
)  # fmt: skip
OF_THE_MACHINE = ("threads", "memory")  # the result does not depend on them
MODES = ("greedy", "swap", "beam", "exhaustive", "bagged_images", "bagged_runs", "replacement")


@dataclass(frozen=True, kw_only=True)
class EnsembleOptions:
    """The options of one `segvote ensemble` command; the vote at the end of a search uses them for its own study."""

    studies: tuple[str, ...]
    where: str = ""  # a filter in MLflow's query language
    min_miou: float | None = None
    all_candidates: bool = False
    mixed_edits: bool = False  # whether studies with different edits of the training labels may vote together
    mode: str = "greedy"
    max_members: int = 15
    must_include: tuple[str, ...] = ()  # names or ids of runs, as are those of `start`
    start: tuple[str, ...] = ()
    beam_width: int = 8
    shortlist: int | None = None  # how many candidates the selection considers; all by default
    seed: int = 0
    threads: int | None = None  # all cores by default
    memory: float | None = None  # in GiB
    tta: tuple[str, ...] = ()
    window: bool = False
    overlap: float = 0.5
    data: str | None = None  # the directory of the holdout's photos, if not that of the studies
    cache_dir: Path = Path("~/.cache/segvote")
    runs_dir: Path = Path("runs")
    tracking_uri: str | None = None

    def __post_init__(self) -> None:
        for name in ("runs_dir", "cache_dir"):
            object.__setattr__(self, name, Path(getattr(self, name)).expanduser().resolve())
        if self.data and self.views.plain:
            raise UserError("--data says where --tta and --window find the photos: leave it out without them")

    @property
    def views(self) -> TestTimeAugmentation:
        """Return the views over which each candidate's prediction is averaged. Raises UserError for impossible ones."""
        return TestTimeAugmentation.parse(self.tta, window=self.window, overlap=self.overlap)

    def recorded(self) -> dict[str, Any]:
        """Return what ensemble.json keeps of it, by field of an EnsembleRecord; the command has the rest."""
        return {name: getattr(self, name) for name in RECORDED}

    def command(self, ended_by: int) -> str:
        """Return the command for the same ensemble, which stays the same when the studies get more runs.

        Runs that end after `ended_by`, in milliseconds since 1970, are excluded.
        """
        clause = f"attributes.end_time <= {ended_by}"
        where = self.where if clause in self.where else " and ".join(filter(None, [self.where, clause]))
        same = dataclasses.replace(self, where=where)
        return shlex.join(["segvote", "ensemble", *same._flags()])

    def _flags(self) -> Iterator[str]:
        """Yield the flags that differ from their defaults."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            default = field.default.expanduser().resolve() if isinstance(field.default, Path) else field.default
            if value == default or field.name in OF_THE_MACHINE:
                continue
            yield "--" + field.name.replace("_", "-")
            if value is not True:
                yield from map(str, value if isinstance(value, tuple) else (value,))
