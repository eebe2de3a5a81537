"""Class maps of photos without labels: each member over all photos, to disk; then the vote, photo by photo."""

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
from trainables.data.unlabelled import Photo
from trainables.errors import UserError
from trainables.files import read_json, write_json
from trainables.inference.predictor import Predictor
from trainables.inference.tta import TestTimeAugmentation

REQUEST = "prediction.json"
PHOTOS = "photos"  # in it


@dataclass(frozen=True)
class Prediction:
    """A directory in which an ensemble predicts photos: what was asked, and each member's class maps so far."""

    directory: Path
    ensemble: Ensemble
    photos: tuple[Photo, ...]
    views: TestTimeAugmentation
    batch_size: int = 0  # photos at once; 0: as many as in training

    def open(self) -> None:
        """Begins, or goes on with what is there. Raises UserError where the directory holds another prediction.

        Of photos that changed since, or were left out or added, those before the first of them keep their class maps.
        """
        request, path = self._request(), self.directory / REQUEST
        if not path.exists():
            write_json(path, request)
            return
        try:
            there = read_json(path)
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is damaged ({error}): take another --out") from error
        for key, value in request.items():
            if not isinstance(there, dict) or (there.get(key) != value and key != PHOTOS):
                raise UserError(f"{self.directory} holds the prediction of other {key}: take another --out")
        same = _common(there.get(PHOTOS), request[PHOTOS])
        if not same:
            raise UserError(f"{self.directory} holds the prediction of other {PHOTOS}: take another --out")
        if there != request:
            for place in range(len(self.ensemble.members)):
                keep_class_maps(self.maps_file(place), same)
            write_json(path, request)

    def maps_file(self, place: int) -> Path:
        """Of the member at `place`, from 0, in rank order."""
        return self.directory / MEMBERS / f"{place + 1:02d}-{self.ensemble.members[place].name}.maps"

    def done(self, place: int) -> int:
        """How many photos the member has predicted."""
        return count_class_maps(self.maps_file(place))

    def predict(self, place: int, progress: Callable[[int], None] = lambda done: None) -> None:
        """The class maps of one member, after those that are there; `progress` hears how many there are."""
        if self.done(place) == len(self.photos):
            return
        with ClassMapWriter(self.maps_file(place)) as writer:
            member = self.ensemble.members[place]
            predictor = make_predictor(member, self.ensemble, self.views, self.batch_size)
            member.check_weights()  # hours may have gone by
            for class_map in predictor.class_maps(self.photos[writer.count :]):
                writer.add(class_map)
                progress(writer.count)

    def maps(self, place: int) -> Iterator[np.ndarray]:
        """The member's class maps, uint8 (H, W), photo by photo."""
        return read_class_maps(self.maps_file(place))

    def ballots(self) -> Iterator[tuple[Photo, np.ndarray, np.ndarray]]:
        """Yields each photo, its members' class maps uint8 (members, H, W), and their hard vote uint8 (H, W)."""
        readers = [self.maps(place) for place in range(len(self.ensemble.members))]
        for photo, *maps in zip(self.photos, *readers, strict=True):
            stack = np.stack(maps)
            yield photo, stack, hard_vote(stack, len(self.ensemble.class_names), self.ensemble.votes)

    def _request(self) -> dict[str, Any]:
        """What decides the class maps; a prediction goes on only where all of it is the same."""
        members = [
            {"run_id": one.run_id, "config": one.config.to_dict(), "weights": one.weights_sha256}
            for one in self.ensemble.members
        ]
        return {
            "members": members,
            "classes": list(self.ensemble.class_names),
            PHOTOS: [_digest(photo) for photo in self.photos],
            "views": self.views.to_dict(),
        }


def make_predictor(member: Member, ensemble: Ensemble, views: TestTimeAugmentation, batch_size: int = 0) -> Predictor:
    """Raises UserError where the member's weights are not those of its configuration and the ensemble's classes."""
    num_classes = len(ensemble.class_names)
    return Predictor(member.config, member.weights, num_classes=num_classes, views=views, batch_size=batch_size)


def agreement(ballots: np.ndarray, winners: np.ndarray, votes: Sequence[int]) -> np.ndarray:
    """How many votes the winner of each pixel has: uint16 (H, W) from uint8 (members, H, W) and uint8 (H, W)."""
    return np.tensordot(np.array(votes, np.uint16), (ballots == winners).astype(np.uint16), 1)


def _digest(photo: Photo) -> str:
    """Names the photo and its file as it is now."""
    stat = photo.path.stat()
    facts = (photo.file_name, photo.image_id, photo.height, photo.width, stat.st_size, stat.st_mtime_ns)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _common(before: Any, now: list[str]) -> int:
    """How many of the first are the same."""
    if not isinstance(before, list):
        return 0
    return next(
        (place for place, (one, other) in enumerate(zip(before, now)) if one != other), min(len(before), len(now))
    )
