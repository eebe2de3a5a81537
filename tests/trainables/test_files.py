"""Files that are there whole or not at all, and JSON that is checked before it is believed."""

import json
import os
import stat
import subprocess
import sys

import pytest
from typing_extensions import TypedDict

from trainables.errors import UserError
from trainables.files import check_fetched, check_unpacked, read_checked, read_json, replacing, write_json, write_text


class Verdict(TypedDict):
    status: str
    epochs: int
    failure: str | None


def test_what_fails_half_way_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail_half_way():
        with replacing(path) as temporary:
            temporary.write_text("ne")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail_half_way()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_file_is_not_seen_before_it_is_whole(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_the_umask_decides_who_may_read_a_file_that_a_library_wrote(tmp_path, umask):
    path, before = tmp_path / "weights", os.umask(umask)
    try:
        with replacing(path) as temporary:
            temporary.write_text("x")
            temporary.chmod(0o600)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_a_name_as_long_as_a_name_may_be_is_written(tmp_path):
    path = tmp_path / ("n" * 255)
    write_text(path, "x")
    assert path.read_text() == "x"


def test_two_threads_that_write_one_file_do_not_meet(tmp_path):
    path = tmp_path / "a"
    with replacing(path) as one, replacing(path) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"


def test_what_a_killed_writer_left_is_swept_by_the_next_process(tmp_path):
    killed = (
        "import os, sys; from pathlib import Path; from trainables.files import replacing\n"
        "with replacing(Path(sys.argv[1]) / 'a') as temporary: temporary.write_text('half'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", killed, str(tmp_path)], check=False)
    assert [name.startswith(".a.") for name in os.listdir(tmp_path)] == [True]
    stranger = tmp_path / ".a.other_host-1.01234567.tmp"
    stranger.write_text("of a process on another machine")
    write_text(tmp_path / "b", "x")
    assert sorted(os.listdir(tmp_path)) == [stranger.name, "b"]


def test_json_comes_back(tmp_path):
    value = {"params": {"lr": 0.001, "head": "fpn"}, "list": [1, None, True]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value


SOUND = json.dumps({"status": "stopped", "epochs": 2, "failure": None, "later": "a key of a later version"})


def test_a_sound_file_comes_back_with_all_its_keys(tmp_path):
    path = tmp_path / "verdict.json"
    path.write_text(SOUND)
    assert read_checked(path, Verdict, remedy="delete it") == json.loads(SOUND)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        *[(SOUND[:length].encode(), "damaged") for length in range(len(SOUND))],
        (b'{"status": "stopped", "failure": null}', "epochs: Field required"),
        (b'{"status": "stopped", "epochs": "2", "failure": null}', "epochs: Input should be a valid integer"),
        (b'{"status": "stopped", "epochs": true, "failure": null}', "epochs: Input should be a valid integer"),
        (b'{"status": null, "epochs": 2, "failure": null}', "status: Input should be a valid string"),
        (b"[]", "its content: Input should be a valid dictionary"),
        (b"\xff\xfe", "codec can't decode"),
        (b"[" * 200_000, "nested too deeply"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong_and_the_way_on(tmp_path, content, said):
    path = tmp_path / "verdict.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=said) as error:
        read_checked(path, Verdict, remedy="delete it")
    assert str(error.value).startswith(f"{path} is damaged (")
    assert str(error.value).endswith("): delete it")


def test_a_file_that_is_gone_is_named(tmp_path):
    with pytest.raises(UserError, match=r"verdict.json is damaged .*No such file.*: delete it"):
        read_checked(tmp_path / "verdict.json", Verdict, remedy="delete it")


@pytest.mark.parametrize("check", [check_fetched, check_unpacked])
def test_whoever_reads_a_file_says_that_it_cannot_be_opened(tmp_path, check):
    check(tmp_path)
    check(tmp_path / "gone")
