import json

import numpy as np
import pytest

from cryobench._errors import FormatError
from cryobench.methods._shared.checkpoint import Checkpoint


def test_finished_steps_are_kept_and_those_of_another_call_refused(tmp_path):
    calls = []

    def compute() -> dict[str, np.ndarray]:
        calls.append(1)
        return {"values": np.arange(3)}

    for _ in range(2):
        kept = Checkpoint(tmp_path / "first", {"seed": 1})
        np.testing.assert_array_equal(kept.take("mean", compute)["values"], np.arange(3))
    assert len(calls) == 1
    with pytest.raises(FormatError, match=r"another call, which differs in seed"):
        Checkpoint(tmp_path / "first", {"seed": 2})
    (tmp_path / "first" / "mean.npz").write_bytes(b"cut off")
    with pytest.raises(FormatError, match=r"mean\.npz cannot be read"):
        Checkpoint(tmp_path / "first", {"seed": 1}).take("mean", compute)


def test_a_state_takes_the_place_of_the_former_and_the_log_is_written(tmp_path):
    kept = Checkpoint(tmp_path, {"seed": 1})
    assert kept.find("state") is None
    for done in (1, 2):
        kept.keep("state", {"values": np.full(2, done)}, {"done": done})
    kept.write_log([{"iteration": 1}, {"iteration": 2}])
    found = Checkpoint(tmp_path, {"seed": 1}).find("state")
    assert found is not None
    np.testing.assert_array_equal(found[0]["values"], [2, 2])
    assert found[1] == {"done": 2}
    assert [json.loads(line)["iteration"] for line in (tmp_path / "log.jsonl").read_text().splitlines()] == [1, 2]


def test_without_a_folder_nothing_is_kept():
    kept = Checkpoint(None, {"seed": 1})
    kept.keep("state", {"values": np.zeros(2)})
    kept.write_log([{"iteration": 1}])
    assert kept.find("state") is None
