import json
from dataclasses import replace

import numpy as np
import pytest

from cryobench._errors import FormatError
from cryobench.compute import Compute
from cryobench.reconstruction.engine import Checkpoint, RunContext
from toy import toy_dataset


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


def test_a_checkpoint_of_other_ctfs_is_refused(tmp_path):
    particles = toy_dataset(size=16, n=40).particles
    defocus = particles.ctf.defocus_u.copy()
    defocus[-1] += 100
    RunContext(checkpoint=tmp_path).open_checkpoint(particles, {})
    other = replace(particles, ctf=replace(particles.ctf, defocus_u=defocus))
    with pytest.raises(FormatError, match="which differs in particles"):
        RunContext(checkpoint=tmp_path).open_checkpoint(other, {})


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


def test_a_process_that_ends_while_it_writes_leaves_the_state_before(tmp_path, monkeypatch):
    kept = Checkpoint(tmp_path, {"seed": 1})
    kept.keep("state", {"values": np.zeros(2)}, {"done": 1})

    def end_halfway(file, **held):
        file.write(b"PK")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", end_halfway)
    with pytest.raises(KeyboardInterrupt):
        kept.keep("state", {"values": np.ones(2)}, {"done": 2})
    found = Checkpoint(tmp_path, {"seed": 1}).find("state")
    assert found is not None
    assert found[1] == {"done": 1}


def test_a_longer_run_starts_where_a_shorter_one_ended_until_it_has_a_state_of_its_own(tmp_path):
    Checkpoint(tmp_path / "short", {"epochs": 1}).keep("state", {"values": np.zeros(2)}, {"done": 1})
    longer = Checkpoint(tmp_path / "long", {"epochs": 2}, former=tmp_path / "short")
    assert longer.find("state") is None
    start = longer.find_start("state")
    assert start is not None
    assert start[1] == {"done": 1}
    assert longer.find_start("other") is None
    longer.keep("state", {"values": np.ones(2)}, {"done": 2})
    for found in (longer.find("state"), longer.find_start("state")):
        assert found is not None
        assert found[1] == {"done": 2}
    assert {path.name for path in (tmp_path / "short").iterdir()} == {"call.json", "state.npz"}


def test_without_a_folder_nothing_is_kept():
    kept = Checkpoint(None, {"seed": 1})
    kept.keep("state", {"values": np.zeros(2)})
    kept.write_log([{"iteration": 1}])
    assert kept.find("state") is None


def test_the_call_is_settings_seed_particles_and_device_but_not_memory(tmp_path):
    toy, other = (toy_dataset(size=16, n=40, seed=seed).particles for seed in (0, 1))
    RunContext(checkpoint=tmp_path).open_checkpoint(toy, {"k": 3}).keep("state", {"values": np.arange(2)})
    again = RunContext(checkpoint=tmp_path, compute=Compute(memory=10**7)).open_checkpoint(toy, {"k": 3})
    assert again.find("state") is not None
    for context, particles, settings, differing in (
        (RunContext(checkpoint=tmp_path, seed=1), toy, {"k": 3}, "seed"),
        (RunContext(checkpoint=tmp_path), other, {"k": 3}, "particles"),
        (RunContext(checkpoint=tmp_path), toy.select(np.arange(39)), {"k": 3}, "particles"),
        (RunContext(checkpoint=tmp_path), toy, {"k": 4}, "settings"),
        (RunContext(checkpoint=tmp_path, compute=Compute(device="cuda:0")), toy, {"k": 3}, "device"),
    ):
        with pytest.raises(FormatError, match=f"differs in {differing}"):
            context.open_checkpoint(particles, settings)
    part = RunContext(checkpoint=tmp_path).with_checkpoint("part")
    assert part.checkpoint == tmp_path / "part"
    assert part.open_checkpoint(other, {}).find("state") is None
    assert RunContext().with_checkpoint("part").checkpoint is None
