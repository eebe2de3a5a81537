"""What each trial gets of the cluster."""

import pytest

from search.study.settings import StudySettings
from search.tuning.cluster import resources
from search.tuning.cluster.resources import ELASTIC_CPUS, Node, Resources, share, trials_side_by_side
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
        (16, 4.0, {"gpus_per_trial": 0.4}, Resources(2, 0.4, 8)),  # two on each GPU, not ten on four
        (16, 4.0, {"gpus_per_trial": 2.0}, Resources(8, 2.0, 2)),
        (16, 4.0, {"gpus_per_trial": 0.0}, Resources(1, 0.0, 16)),
        # a cluster that starts nodes on demand: what is up now limits nothing
        (2, 0.0, {"elastic": True, "concurrency": 8, "gpus_per_trial": 1.0}, Resources(ELASTIC_CPUS, 1.0, 8, room=0)),
        (9, 4.0, {"elastic": True, "concurrency": 8, "gpus_per_trial": 1.0}, Resources(ELASTIC_CPUS, 1.0, 8, room=2)),
        (
            2,
            0.0,
            {"elastic": True, "concurrency": 8, "gpus_per_trial": 1.0, "cpus_per_trial": 7},
            Resources(7, 1.0, 8, room=0),
        ),
    ],
)
def test_trials_share_the_cluster(cpus, gpus, flags, expected):
    assert share([Node(cpus, gpus)], **{**NOTHING, **flags}) == expected


@pytest.mark.parametrize(
    ("nodes", "flags", "expected"),
    [
        # a trial does not stretch over two machines
        ([Node(8), Node(8)], {"concurrency": 3}, Resources(4, 0.0, 3)),
        ([Node(8), Node(8)], {"concurrency": 2}, Resources(8, 0.0, 2)),
        ([Node(8), Node(2)], {"concurrency": 1}, Resources(8, 0.0, 1)),
        ([Node(6), Node(6)], {"cpus_per_trial": 4}, Resources(4, 0.0, 2)),
        # nor do its cores come from a machine that has no GPU
        ([Node(64), Node(8, 1.0)], {}, Resources(8, 1.0, 1)),
        ([Node(8, 4.0), Node(16, 4.0)], {}, Resources(2, 1.0, 8)),
        ([Node(8, 1.0), Node(8, 1.0)], {"gpus_per_trial": 0.6}, Resources(8, 0.6, 2)),
    ],
)
def test_a_trial_runs_on_one_machine(nodes, flags, expected):
    assert share(nodes, **{**NOTHING, **flags}) == expected


@pytest.mark.parametrize(
    ("cpus", "gpus", "flags", "message"),
    [
        (
            2,
            0.0,
            {"gpus_per_trial": 1.0},
            "is 1, but no machine here has more than 0 GPUs; .*--concurrency",
        ),
        (2, 1.0, {"gpus_per_trial": 2.0}, "--gpus-per-trial is 2, but no machine here has more than 1 GPUs"),
        (2, 4.0, {"gpus_per_trial": 1.5}, "--gpus-per-trial is 1.5, but above 1 only whole GPUs"),
        (2, 0.0, {"gpus_per_trial": 1.0, "elastic": True}, "give --concurrency, the number of trials"),
        (2, 0.0, {"cpus_per_trial": 3}, "--cpus-per-trial is 3, but no machine here has more than 2 CPU cores"),
    ],
)
def test_more_than_there_is_is_refused(cpus, gpus, flags, message):
    with pytest.raises(UserError, match=message):
        share([Node(cpus, gpus)], **{**NOTHING, **flags})


@pytest.mark.parametrize(
    ("resources", "text"),
    [
        (Resources(1, 0.0, 2), "2 trials at a time, each with 1 CPU core, no GPU"),
        (Resources(4, 0.25, 4), "4 trials at a time, each with 4 CPU cores, 0.25 GPU"),
        (Resources(4, 1.0, 2, room=2), "2 trials at a time, each with 4 CPU cores, 1 GPU"),
        (
            Resources(4, 1.0, 8, room=2),
            "8 trials at a time, each with 4 CPU cores, 1 GPU; the cluster has room for 2 now, and 6 of them wait for "
            "further machines",
        ),
        (
            Resources(4, 1.0, 8, room=0),
            "8 trials at a time, each with 4 CPU cores, 1 GPU; the cluster has room for none now, and all of them wait "
            "for further machines",
        ),
    ],
)
def test_resources_read_well(resources, text):
    assert str(resources) == text


@pytest.mark.parametrize(
    ("flags", "gpus", "trials", "expected"),
    [
        ({}, 0, None, 8),
        ({}, 0, 3, 3),
        ({"cpus_per_trial": 4}, 0, 3, 2),
        ({"concurrency": 2}, 0, 3, 2),
        ({"concurrency": 2}, 0, 1, 1),
        ({}, 1, None, 1),
        ({"gpus_per_trial": 0.25}, 1, None, 4),
        ({"gpus_per_trial": 0.25}, 1, 2, 2),
        ({"gpus_per_trial": 0.0}, 1, None, 8),
    ],
)
def test_as_many_processes_get_ready_as_trials_will_run_side_by_side(monkeypatch, flags, gpus, trials, expected):
    monkeypatch.setattr(resources, "usable_cores", lambda: 8)
    monkeypatch.setattr(resources, "visible_gpus", lambda: gpus)
    assert trials_side_by_side(StudySettings(**flags), trials) == expected
