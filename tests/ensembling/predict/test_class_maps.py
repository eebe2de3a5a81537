"""The class-map file: what is written comes back, and what a kill cut off is written again."""

import numpy as np
import pytest

from ensembling.predict.class_maps import FRAME, ClassMapsError, ClassMapWriter, count_class_maps, read_class_maps

MAPS = [np.random.default_rng(seed).integers(0, 12, (5 + seed, 9), dtype=np.uint8) for seed in range(4)]


def write(path, maps):
    with ClassMapWriter(path) as writer:
        for one in maps:
            writer.add(one)
    return path


def same(path, maps):
    found = list(read_class_maps(path))
    return len(found) == len(maps) and all(np.array_equal(one, other) for one, other in zip(found, maps))


def test_maps_of_any_size_come_back(tmp_path):
    assert same(write(tmp_path / "a.maps", MAPS), MAPS)


def test_a_file_goes_on_where_it_ended(tmp_path):
    path = write(tmp_path / "a.maps", MAPS[:2])
    with ClassMapWriter(path) as writer:
        assert writer.count == 2
        writer.add(MAPS[2])
    assert same(path, MAPS[:3])


def test_after_a_cut_anywhere_the_file_goes_on_to_the_same_bytes(tmp_path):
    whole = write(tmp_path / "whole.maps", MAPS).read_bytes()
    path = tmp_path / "cut.maps"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        done = count_class_maps(path)
        with ClassMapWriter(path) as writer:
            assert writer.count == done < len(MAPS)
            for one in MAPS[done:]:
                writer.add(one)
        assert path.read_bytes() == whole


def test_a_last_frame_of_zeros_is_not_taken_for_whole(tmp_path):
    """A power cut can leave the file's length without its content."""
    path = write(tmp_path / "a.maps", MAPS[:2])
    data = bytearray(path.read_bytes())
    data[-5:] = bytes(5)
    path.write_bytes(data)
    assert count_class_maps(path) == 1


def test_a_file_that_is_not_there_has_none(tmp_path):
    assert count_class_maps(tmp_path / "none.maps") == 0


def test_damage_in_the_middle_is_named(tmp_path):
    path = write(tmp_path / "a.maps", MAPS)
    data = bytearray(path.read_bytes())
    data[8 + FRAME.size + 3] ^= 1
    path.write_bytes(data)
    with pytest.raises(ClassMapsError, match=r"a\.maps is damaged"):
        list(read_class_maps(path))


def test_another_file_is_not_overwritten(tmp_path):
    path = tmp_path / "notes.maps"
    path.write_text("my notes, not a map")
    with pytest.raises(ClassMapsError, match=r"notes\.maps is no class-map file"):
        ClassMapWriter(path)
    assert path.read_text() == "my notes, not a map"
