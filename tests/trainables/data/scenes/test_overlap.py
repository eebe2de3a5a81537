"""What training and holdout share, counted."""

import json

from trainables.data.scenes import Overlap, Scenes


def test_shared_scenes_and_the_photos_of_them_are_counted():
    scenes = Scenes((0, 0, 0, 1, 1, 2, 3), tuple(range(7)), (("frames of a sequence", 5),))
    overlap = Overlap.of(scenes, training=(0, 1, 3, 6), holdout=(2, 4, 5))
    assert (overlap.training_scenes, overlap.holdout_scenes, overlap.shared_scenes) == (3, 3, 2)
    assert (overlap.training_photos, overlap.holdout_photos, overlap.shared_photos) == (4, 3, 2)
    assert Overlap.from_dict(json.loads(json.dumps(overlap.to_dict()))) == overlap
