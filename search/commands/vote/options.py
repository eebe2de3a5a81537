"""VoteOptions: the submission files that vote, their ranks, and the files that are written."""

import math
from dataclasses import dataclass
from pathlib import Path

from search.report.durations import counted
from trainables.errors import UserError


@dataclass(frozen=True, kw_only=True)
class VoteOptions:
    """The options of one `segvote vote` command. The contents of files are not looked at.

    Raises UserError where options do not fit together.
    """

    files: tuple[Path, ...]  # in the order given
    out: Path
    scores: tuple[float, ...] | None = None  # one for each file; higher is better
    overwrite: bool = False
    diff: Path | None = None
    images: Path | None = None
    classes: Path | None = None

    def __post_init__(self) -> None:
        self._check_scores()  # first, because a score after a comma and a space is read as the name of a file
        self._check_files()
        self._check_diff()

    @property
    def ranking(self) -> list[int]:
        """Return the indices of `files`, the best first: by score, and in the given order without or among equal
        scores.
        """
        scores = self.scores or [0.0] * len(self.files)
        return sorted(range(len(self.files)), key=lambda index: -scores[index])

    def _check_files(self) -> None:
        if len(self.files) < 2:
            raise UserError("a vote needs two files or more; three are the fewest that can overrule the best one")
        known: dict[Path, Path] = {}
        for path in self.files:
            if not path.is_file():
                raise UserError(f"{path} is {'not a file' if path.exists() else 'not there'}: name submission files")
            if path.resolve() in known:
                raise UserError(f"{path} is given twice: name each file once")
            known[path.resolve()] = path
        if self.out.resolve() in known:
            raise UserError(f"--out {self.out} is one of the files that vote: choose another name")
        if self.out.is_dir():
            raise UserError(f"--out {self.out} is a directory: name a file in it")
        if self.out.exists() and not self.overwrite:
            raise UserError(f"--out {self.out} exists already: choose another name, or give --overwrite")

    def _check_scores(self) -> None:
        if self.scores is None:
            return
        if len(self.scores) != len(self.files):
            raise UserError(
                f"--scores has {counted(len(self.scores), 'score', 'scores')} for {len(self.files)} files: "
                "give one score for each file, in the order of the files, with commas between and no spaces"
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
            raise UserError(f"--diff {self.diff} is not empty: choose another directory, or give --overwrite")
        if self.images is not None and not self.images.is_dir():
            raise UserError(
                f"--images {self.images} is no directory: give the one below which every image_id is a photo"
            )
