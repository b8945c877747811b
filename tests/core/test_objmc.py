import json

import pytest

from draganything_core.evaluation.objmc import objmc_reference


def write(folder, **videos):
    folder.mkdir(exist_ok=True)
    for name, tracks in videos.items():
        (folder / f"{name}.json").write_text(json.dumps(tracks))
    return folder


def test_distance_is_the_mean_over_points_not_over_videos(tmp_path):
    truth = write(tmp_path / "gt", a={"1": [[0, 0], [0, 0], [0, 0]]}, b={"1": [[0, 0]]})
    predicted = write(tmp_path / "pred", a={"1": [[3, 4], [3, 4], [3, 4]]}, b={"1": [[0, 9]]})
    assert objmc_reference(truth, predicted) == (3 * 5 + 9) / 4


def test_a_missing_folder_and_a_wrong_file_are_named(tmp_path):
    truth = write(tmp_path / "gt", a={"1": [[0, 0]]})
    with pytest.raises(FileNotFoundError, match="pred: no such folder"):
        objmc_reference(truth, tmp_path / "pred")
    predicted = write(tmp_path / "pred", a=[[0, 0]])
    with pytest.raises(ValueError, match=r"a\.json: expected \{"):
        objmc_reference(truth, predicted)
    (predicted / "a.json").write_text("{")
    with pytest.raises(ValueError, match=r"a\.json: not JSON"):
        objmc_reference(truth, predicted)


def test_a_missing_entity_is_named_with_its_video(tmp_path):
    truth = write(tmp_path / "gt", a={"1": [[0, 0]], "2": [[0, 0]]})
    predicted = write(tmp_path / "pred", a={"1": [[0, 0]]})
    with pytest.raises(KeyError, match=r"a\.json: no predicted track for entity 2"):
        objmc_reference(truth, predicted)
