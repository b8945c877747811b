"""The shipped outputs of the original code, through the same command that checks any other folder of them."""

from pathlib import Path

import check
import pytest

GOLDENS = Path(__file__).parent.parent / "goldens"


@pytest.mark.parametrize("name", ["A", pytest.param("B", marks=pytest.mark.slow), "C", "D"])
def test_matches_the_original(name, tmp_path, capsys):
    # A folder is recognised by its content: under another name it must still be found out.
    disguised = tmp_path / "anything"
    disguised.symlink_to(GOLDENS / name)
    assert check.main([str(disguised)]) == 0, capsys.readouterr().out
    assert "FAIL" not in capsys.readouterr().out


def test_another_folder_is_refused(tmp_path, capsys):
    assert check.main([str(tmp_path)]) == 2
    assert "none of the known goldens" in capsys.readouterr().err
