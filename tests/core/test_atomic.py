import pytest

from draganything_core.atomic import replacing, replacing_folder, write_text


def test_a_file_is_written_whole(tmp_path):
    write_text(tmp_path / "new" / "a.json", "ä")
    assert (tmp_path / "new" / "a.json").read_text(encoding="utf-8") == "ä"


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    target = tmp_path / "a.json"
    target.write_text("old")

    def fail_half_way():
        with replacing(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail_half_way()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_replaced_file_keeps_its_permissions(tmp_path):
    target = tmp_path / "a.json"
    target.write_text("old")
    target.chmod(0o640)
    write_text(target, "new")
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("new", 0o640)


def test_the_temporary_file_keeps_the_suffix_and_the_usual_permissions(tmp_path):
    with replacing(tmp_path / "a.mp4") as temporary:
        assert temporary.suffix == ".mp4"
        temporary.write_bytes(b"x")
    (tmp_path / "plain").write_bytes(b"x")
    assert (tmp_path / "a.mp4").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_takes_the_place_of_another_as_a_whole(tmp_path):
    target = tmp_path / "weights"
    for name in ("old", "new"):
        with replacing_folder(target) as temporary:
            (temporary / "part").mkdir()
            (temporary / "part" / name).write_text(name)
    assert [path.name for path in target.rglob("*")] == ["part", "new"]
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_leaves_the_old_folder_and_nothing_beside_it(tmp_path):
    target = tmp_path / "weights"
    target.mkdir()
    (target / "old").write_text("old")

    def fail_half_way():
        with replacing_folder(target) as temporary:
            (temporary / "new").write_text("half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        fail_half_way()
    assert [path.name for path in target.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [target]
