"""Class maps of photos without labels: each member predicts all photos to disk, then each photo is voted on."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ensembling.predict.class_maps import ClassMapWriter, count_class_maps, keep_class_maps, read_class_maps
from ensembling.runs.members import MEMBERS, Ensemble, Member
from ensembling.vote import hard_vote
from trainables.data.photo_list import Photo
from trainables.errors import UserError
from trainables.files import read_json, write_json
from trainables.inference.predictor import Predictor
from trainables.inference.tta import TestTimeAugmentation

REQUEST = "prediction.json"
PHOTOS = "photos"  # the key of the photos in that file
VOTES = "votes"  # the key of the members' votes, which directories of earlier versions lack


@dataclass(frozen=True)
class Prediction:
    """A directory in which an ensemble predicts photos: the request, and the class maps of each member so far."""

    directory: Path
    ensemble: Ensemble
    photos: tuple[Photo, ...]
    views: TestTimeAugmentation
    batch_size: int = 0  # photos at once; 0: as many as in training
    voting: int | None = None  # how many of the ensemble's runs vote, the first ones; all of them by default

    def open(self) -> None:
        """Create the prediction's file, or check that the one in the directory is of the same request.

        Where photos have changed, or were added or removed, the class maps of the photos before the first difference
        are kept. Raises UserError where the directory holds another prediction.
        """
        request, path = self._request(), self.directory / REQUEST
        if not path.exists():
            write_json(path, request)
            return
        try:
            found = read_json(path)
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is damaged ({error}): choose another --out") from error
        there = {VOTES: request[VOTES]} | found if isinstance(found, dict) else {}
        for key, value in request.items():
            if there.get(key) != value and key != PHOTOS:
                raise UserError(f"{self.directory} holds a prediction with other {key}: choose another --out")
        same = _common(there.get(PHOTOS), request[PHOTOS])
        if not same:
            raise UserError(f"{self.directory} holds a prediction with other {PHOTOS}: choose another --out")
        if found != request:
            for index in range(len(self.ensemble.members)):
                keep_class_maps(self.maps_file(index), same)
            write_json(path, request)

    def maps_file(self, index: int) -> Path:
        """Return the file with the class maps of the member at `index` in rank order, which counts from 0."""
        return self.directory / MEMBERS / f"{index + 1:02d}-{self.ensemble.members[index].name}.maps"

    def done(self, index: int) -> int:
        """Return the number of photos that the member has predicted."""
        return count_class_maps(self.maps_file(index))

    def predict(self, index: int, progress: Callable[[int], None] = lambda done: None) -> None:
        """Predict the photos that the member has not predicted yet, and append their class maps to its file.

        `progress` is called after each photo with the number of class maps in the file.
        """
        if self.done(index) == len(self.photos):
            return
        with ClassMapWriter(self.maps_file(index)) as writer:
            member = self.ensemble.members[index]
            predictor = make_predictor(member, self.ensemble, self.views, self.batch_size)
            member.check_weights()  # hours may have passed since they were checked first
            for done in writer.add_all(predictor.class_maps(self.photos[writer.count :])):
                progress(done)

    def maps(self, index: int) -> Iterator[np.ndarray]:
        """Return an iterator over the member's class maps, uint8 (H, W), photo by photo."""
        return read_class_maps(self.maps_file(index))

    def ballots(self) -> Iterator[tuple[Photo, np.ndarray, np.ndarray]]:
        """Yield each photo, its members' class maps uint8 (members, H, W), and their hard vote uint8 (H, W)."""
        readers = [self.maps(index) for index in range(len(self.ensemble.members))]
        for photo, *maps in zip(self.photos, *readers, strict=True):
            stack = np.stack(maps)
            yield photo, stack, hard_vote(stack, len(self.ensemble.class_names), self.ensemble.votes)

    def _request(self) -> dict[str, Any]:
        """Return what decides class maps and vote. A prediction is continued only where all of it is the same."""
        members = [
            {"run_id": one.run_id, "config": one.config.to_dict(), "weights": one.weights_sha256}
            for one in self.ensemble.members
        ]
        return {
            "members": members,
            VOTES: list(self.ensemble.votes[: self.voting]),
            "classes": list(self.ensemble.class_names),
            PHOTOS: [_digest(photo) for photo in self.photos],
            "views": self.views.to_dict(),
        }


def make_predictor(member: Member, ensemble: Ensemble, views: TestTimeAugmentation, batch_size: int = 0) -> Predictor:
    """Return the predictor of a member.

    Args:
        member: The member.
        ensemble: Its ensemble, whose number of classes it must have.
        views: The views whose probabilities are averaged.
        batch_size: How many photos are predicted at once; 0 for as many as in training.

    Raises:
        UserError: The weights do not fit the member's configuration and the number of classes.
    """
    num_classes = len(ensemble.class_names)
    return Predictor(member.config, member.weights, num_classes=num_classes, views=views, batch_size=batch_size)


def agreement(ballots: np.ndarray, winners: np.ndarray, votes: Sequence[int]) -> np.ndarray:
    """Return how many votes the winning class of each pixel has: uint16 (H, W).

    `ballots` are the members' class maps uint8 (members, H, W), `winners` is their vote uint8 (H, W), and `votes` holds
    the number of votes of each member.
    """
    return np.tensordot(np.array(votes, np.uint16), (ballots == winners).astype(np.uint16), 1)


def _digest(photo: Photo) -> str:
    """Return a checksum of the photo's name, id and size and of its file's size and time of change."""
    stat = photo.path.stat()
    facts = (photo.file_name, photo.image_id, photo.height, photo.width, stat.st_size, stat.st_mtime_ns)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _common(before: Any, now: list[str]) -> int:
    """Return the number of entries at the start that both lists share."""
    if not isinstance(before, list):
        return 0
    return next(
        (index for index, (one, other) in enumerate(zip(before, now)) if one != other), min(len(before), len(now))
    )
