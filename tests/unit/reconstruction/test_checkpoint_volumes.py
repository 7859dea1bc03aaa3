import numpy as np
import pytest

from cryobench._errors import FormatError
from cryobench.methods.controls import TruthBackprojection
from cryobench.methods.recovar.recovar import Recovar
from cryobench.reconstruction.engine import Checkpoint, CheckpointVolumes, RunContext
from toy import toy_dataset


def test_volumes_of_a_checkpoint_are_read_on_demand(tmp_path):
    volumes = np.random.default_rng(0).standard_normal((2, 4, 4, 4)).astype(np.float32)
    kept = Checkpoint(tmp_path, {})
    for number, volume in enumerate(volumes):
        kept.keep(f"state-{number}", {"volume": volume})
    source = CheckpointVolumes(kept, ["state-1", "state-0", "state-1", "state-2"], 4)
    assert (len(source), source.box_size) == (4, 4)
    for place, number in enumerate((1, 0, 1)):
        np.testing.assert_array_equal(source.read(place), volumes[number])
    with pytest.raises(KeyError, match="has no volume 'state-2'"):
        source.read(3)
    (tmp_path / "state-0.npz").write_bytes(b"cut off")
    with pytest.raises(FormatError, match=r"state-0\.npz cannot be read"):
        source.read(1)


@pytest.mark.parametrize("name", ["truth-backprojection", "recovar"])
def test_query_volumes_of_a_run_stay_in_its_checkpoint_and_are_those_of_a_run_without(name, tmp_path):
    """All of 256 px in memory would exceed what the user allows; resumed, the finished ones are not made again."""
    toy = toy_dataset(size=16, n=120, n_queries=5)
    assert toy.truth is not None
    method = (
        Recovar(Recovar.Settings(**Recovar.small))
        if name == "recovar"
        else TruthBackprojection().with_truth(toy.truth)
    )
    in_memory = method.reconstruct(toy.particles, toy.queries).volumes
    checkpoint = tmp_path / "checkpoint"
    on_disk = method.reconstruct(toy.particles, toy.queries, RunContext(checkpoint=checkpoint)).volumes
    assert in_memory is not None
    assert on_disk is not None
    assert len(in_memory) == len(on_disk) == 5
    for query in range(5):
        np.testing.assert_array_equal(on_disk.read(query), in_memory.read(query))
    made = {path: path.stat().st_mtime_ns for path in checkpoint.rglob("*.npz")}
    method.reconstruct(toy.particles, toy.queries, RunContext(checkpoint=checkpoint))
    assert {path: path.stat().st_mtime_ns for path in checkpoint.rglob("*.npz")} == made
    for path in made:
        path.unlink()
    with pytest.raises(KeyError, match="the checkpoint has no volume"):
        on_disk.read(0)
