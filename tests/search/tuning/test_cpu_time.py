"""The time that a study will take, from steps of its first configurations."""

import itertools
import time
from types import SimpleNamespace

import pytest

from search.tuning import cpu_time
from search.tuning.cpu_time import START_SECONDS, study_seconds
from trainables.config import TrialConfig
from trainables.errors import UserError

STUDY = {"num_classes": 3, "images": 100, "trials": 6, "concurrency": 2}


def config_of(head, **more):
    values = {"image_size": "32", "batch_size": 4, "epochs": 2, **more}
    return TrialConfig(head=head, backbone="mobilenetv3_small_050", **values)


@pytest.fixture
def clock(monkeypatch):
    """Steps of these heads take a second or nine for as many images as there are; returns the heads that were timed."""
    made = []

    def step(config, num_classes, batch, size):
        assert (batch, size) == (config.batch_size, config.size)
        made.append(config.head)
        return {"unet": 1.0, "fcn": 9.0}[config.head]

    monkeypatch.setattr(cpu_time, "_step_seconds", step)
    return made


def test_heads_count_by_their_own_steps(clock):
    seconds = study_seconds([config_of("unet"), config_of("fcn"), config_of("fcn"), config_of("unet")], **STUDY)
    per_image = (1.0 + 9.0) / 2 / 4
    assert seconds == pytest.approx(START_SECONDS + per_image * 100 * 2 * 6 / 2)
    assert clock == ["unet", "fcn"]


def test_longer_trials_count_as_such(clock):
    seconds = study_seconds([config_of("unet", image_size="64", epochs=4)], **STUDY)
    assert seconds == pytest.approx(START_SECONDS + 1.0 / 4 * 100 * 4 * 6 / 2)


def test_large_images_are_scaled_from_two_smaller_ones(monkeypatch):
    asked = []
    monkeypatch.setattr(cpu_time, "_step_seconds", lambda config, classes, *probe: asked.append(probe) or 1.0)
    seconds = study_seconds([config_of("unet", image_size="512x256")], **STUDY)
    assert asked == [(2, (128, 128))]
    assert seconds == pytest.approx(START_SECONDS + 1.0 / 2 * 8 * 100 * 2 * 6 / 2)


def test_backbones_that_take_one_size_alone_are_tried_at_it(monkeypatch):
    def step(config, num_classes, batch, size):
        if size != (224, 224):
            raise UserError("another size")
        return 1.0

    monkeypatch.setattr(cpu_time, "_step_seconds", step)
    seconds = study_seconds([config_of("unet", image_size="224")], **STUDY)
    assert seconds == pytest.approx(START_SECONDS + 1.0 / 2 * 100 * 2 * 6 / 2)
    with pytest.raises(UserError, match="another size"):
        study_seconds([config_of("unet", image_size="256")], **STUDY)


def test_no_step_begins_when_the_time_for_them_is_over(clock, monkeypatch):
    monkeypatch.setattr(cpu_time, "PROBES_SECONDS", -1)
    study_seconds([config_of("unet"), config_of("fcn"), config_of("unet")], **STUDY)
    assert clock == ["unet"]


def test_only_the_first_configuration_must_fit_its_backbone(monkeypatch):
    def step(config, num_classes, batch, size):
        if config.head == "fpn":
            raise UserError("another size")
        return 1.0

    monkeypatch.setattr(cpu_time, "_step_seconds", step)
    right, wrong = config_of("unet"), config_of("fpn")
    assert study_seconds([right, wrong], **STUDY) == study_seconds([right], **STUDY)
    with pytest.raises(UserError, match="another size"):
        study_seconds([wrong, right], **STUDY)


def test_a_step_that_waited_for_other_processes_counts_by_its_cpu_time(monkeypatch):
    wall = itertools.count(0, 1000)
    clocks = SimpleNamespace(perf_counter=lambda: next(wall), process_time=time.process_time)
    monkeypatch.setattr(cpu_time, "time", clocks)
    assert study_seconds([config_of("unet")], **STUDY) < START_SECONDS + 1000


def test_steps_are_really_made():
    assert study_seconds([config_of("unet"), config_of("fpn")], **STUDY) > START_SECONDS
