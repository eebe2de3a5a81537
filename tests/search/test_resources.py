"""What each trial gets of the cluster."""

import pytest

from search.resources import ELASTIC_CPUS, Resources, share
from trainables.errors import UserError

NOTHING = {"concurrency": None, "gpus_per_trial": None}


@pytest.mark.parametrize(
    ("cpus", "gpus", "flags", "expected"),
    [
        # no GPU: a trial per core, the cores shared out
        (2, 0.0, {}, Resources(1, 0.0, 2)),
        (8, 0.0, {"concurrency": 3}, Resources(2, 0.0, 3)),
        (2, 0.0, {"concurrency": 9}, Resources(1, 0.0, 2)),
        (8, 0.0, {"concurrency": 1}, Resources(8, 0.0, 1)),
        (8, 0.0, {"cpus_per_trial": 4}, Resources(4, 0.0, 2)),
        (8, 0.0, {"cpus_per_trial": 3}, Resources(3, 0.0, 2)),
        # a trial per GPU
        (16, 1.0, {}, Resources(16, 1.0, 1)),
        (16, 4.0, {}, Resources(4, 1.0, 4)),
        (16, 4.0, {"concurrency": 2}, Resources(8, 1.0, 2)),
        (2, 4.0, {}, Resources(1, 1.0, 2)),
        (16, 4.0, {"cpus_per_trial": 2}, Resources(2, 1.0, 4)),
        (8, 4.0, {"cpus_per_trial": 4}, Resources(4, 1.0, 2)),
        # parts of GPUs, several, and none at all
        (16, 1.0, {"gpus_per_trial": 0.25}, Resources(4, 0.25, 4)),
        (16, 1.0, {"gpus_per_trial": 0.1}, Resources(1, 0.1, 10)),
        (16, 4.0, {"gpus_per_trial": 2.0}, Resources(8, 2.0, 2)),
        (16, 4.0, {"gpus_per_trial": 0.0}, Resources(1, 0.0, 16)),
        # a cluster that starts nodes on demand: what is up now limits nothing
        (2, 0.0, {"elastic": True, "concurrency": 8, "gpus_per_trial": 1.0}, Resources(ELASTIC_CPUS, 1.0, 8)),
        (
            2,
            0.0,
            {"elastic": True, "concurrency": 8, "gpus_per_trial": 1.0, "cpus_per_trial": 7},
            Resources(7, 1.0, 8),
        ),
    ],
)
def test_trials_share_the_cluster(cpus, gpus, flags, expected):
    assert share(cpus, gpus, **{**NOTHING, **flags}) == expected


@pytest.mark.parametrize(
    ("cpus", "gpus", "flags", "message"),
    [
        (2, 0.0, {"gpus_per_trial": 1.0}, "--gpus-per-trial is 1, but the cluster has 0 GPUs; .*--concurrency"),
        (2, 1.0, {"gpus_per_trial": 1.5}, "--gpus-per-trial is 1.5, but the cluster has 1 GPUs"),
        (2, 0.0, {"gpus_per_trial": 1.0, "elastic": True}, "say with --concurrency how many trials"),
        (2, 0.0, {"cpus_per_trial": 3}, "--cpus-per-trial is 3, but the cluster has 2 CPU cores"),
    ],
)
def test_more_than_there_is_is_refused(cpus, gpus, flags, message):
    with pytest.raises(UserError, match=message):
        share(cpus, gpus, **{**NOTHING, **flags})


@pytest.mark.parametrize(
    ("resources", "text"),
    [
        (Resources(1, 0.0, 2), "2 trials at a time, each with 1 CPU cores, no GPU"),
        (Resources(4, 0.25, 4), "4 trials at a time, each with 4 CPU cores, 0.25 GPU"),
    ],
)
def test_resources_read_well(resources, text):
    assert str(resources) == text
