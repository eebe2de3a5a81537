"""An ensemble as a model of MLflow, which loads this file's code and the exported ensemble, and predicts images."""

import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from ensembling import hard_vote
from ensembling.export.served_images import Images, read_images
from ensembling.predict.prediction import make_predictor
from ensembling.runs.members import open_ensemble
from ensembling.runs.registered import ARTIFACT
from trainables.errors import UserError
from trainables.inference.predictor import Predictor

KEEP_LOADED = "SEGVOTE_KEEP_LOADED"  # 1 keeps all members in memory; otherwise one is in memory at a time


class EnsembleModel(PythonModel):
    """A model of MLflow that predicts class maps: each member predicts all images of a request, then each image is
    voted on.
    """

    def load_context(self, context: Any) -> None:
        """Open the exported ensemble, whose directory `context.artifacts` names.

        Its models are loaded when the first request needs them.
        """
        self._ensemble = open_ensemble(context.artifacts[ARTIFACT], Path(), _no_mlflow)
        self._keep_loaded = os.environ.get(KEEP_LOADED, "0") not in ("", "0")
        self._predictors: dict[int, Predictor] = {}  # by index in the ensemble
        self._one_request = (
            threading.Lock()
        )  # one request at a time: otherwise each thread of the server would load a model

    # MLflow takes this type hint for "any input": a schema cannot say "an array, a list or a table".
    def predict(self, context: Any, model_input: np.ndarray) -> Any:
        """Return class maps uint8 of the images of a request: (H, W) of one image, (N, H, W) of a stack, else a list of
        (H, W).

        Raises MlflowException, which is HTTP's status 400, for a request that holds no image.
        """
        with self._one_request, tempfile.TemporaryDirectory() as directory:
            try:
                images = read_images(model_input, Path(directory))
                return images.answer(self._vote(images))
            except UserError as error:
                # Where the server keeps the files of a request says nothing to who sent them.
                said = str(error).replace(f"{directory}{os.sep}", "")
                raise MlflowException.invalid_parameter_value(said) from error

    def _vote(self, images: Images) -> list[np.ndarray]:
        ballots = zip(*(self._class_maps(index, images) for index in range(len(self._ensemble.members))))
        num_classes = len(self._ensemble.class_names)
        return [hard_vote(np.stack(maps), num_classes, self._ensemble.votes) for maps in ballots]

    def _class_maps(self, index: int, images: Images) -> list[np.ndarray]:
        predictor = self._predictor(index)
        return [*map(predictor.class_map, images.arrays), *predictor.class_maps(images.photos)]

    def _predictor(self, index: int) -> Predictor:
        if index not in self._predictors:
            if not self._keep_loaded:
                self._predictors.clear()
            member = self._ensemble.members[index]
            self._predictors[index] = make_predictor(member, self._ensemble, self._ensemble.views)
        return self._predictors[index]


def _no_mlflow() -> Any:
    raise AssertionError("an exported ensemble needs no MLflow")


set_model(EnsembleModel())
