"""VoteOptions: which submission files vote, in which rank, and what is made of it."""

import math
from dataclasses import dataclass
from pathlib import Path

from trainables.errors import UserError


@dataclass(frozen=True, kw_only=True)
class VoteOptions:
    """One `segvote vote` command. Raises UserError where flags do not fit together; looks at no file's content."""

    files: tuple[Path, ...]  # in the order given
    out: Path
    scores: tuple[float, ...] | None = None  # one a file, higher is better
    overwrite: bool = False
    diff: Path | None = None
    images: Path | None = None
    classes: Path | None = None

    def __post_init__(self) -> None:
        self._check_scores()  # first, since what stands after a comma and a space is taken for a file
        self._check_files()
        self._check_diff()

    @property
    def ranking(self) -> list[int]:
        """Places in `files`, best first: by score, else and among equal scores in the order given."""
        scores = self.scores or [0.0] * len(self.files)
        return sorted(range(len(self.files)), key=lambda place: -scores[place])

    def _check_files(self) -> None:
        if len(self.files) < 2:
            raise UserError("a vote needs two files or more; three are the fewest that can outvote the best one")
        known: dict[Path, Path] = {}
        for path in self.files:
            if not path.is_file():
                raise UserError(f"{path} is {'no file' if path.exists() else 'not there'}")
            if path.resolve() in known:
                raise UserError(f"{path} is given twice: name each file once")
            known[path.resolve()] = path
        if self.out.resolve() in known:
            raise UserError(f"--out {self.out} is one of the files that vote: take another name")
        if self.out.is_dir():
            raise UserError(f"--out {self.out} is a directory: name a file in it")
        if self.out.exists() and not self.overwrite:
            raise UserError(f"--out {self.out} exists: take another name, or give --overwrite")

    def _check_scores(self) -> None:
        if self.scores is None:
            return
        if len(self.scores) != len(self.files):
            raise UserError(
                f"--scores has {len(self.scores)} of the {len(self.files)} scores that {len(self.files)} files need: "
                "give them in the order of the files, with commas between and no spaces"
            )
        if not all(map(math.isfinite, self.scores)):
            raise UserError(f"--scores are {', '.join(map(str, self.scores))}, but must be numbers")

    def _check_diff(self) -> None:
        if self.diff is None:
            for flag in ("images", "classes"):
                if getattr(self, flag) is not None:
                    raise UserError(f"--{flag} is for the pictures of --diff DIR, which is not given")
            return
        if self.diff.exists() and not self.diff.is_dir():
            raise UserError(f"--diff {self.diff} is a file, but must be a directory for pictures")
        if self.diff.is_dir() and any(self.diff.iterdir()) and not self.overwrite:
            raise UserError(f"--diff {self.diff} is not empty: take another directory, or give --overwrite")
        if self.images is not None and not self.images.is_dir():
            raise UserError(f"--images {self.images} is no directory")
