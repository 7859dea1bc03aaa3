"""Truth kept as a trajectory: every frame's volume is the rendered one, and the data set holds together."""

import pickle

import numpy as np
import pytest
import torch

from cryobench._errors import FormatError
from cryobench.atoms import AtomicModel
from cryobench.atoms.files.structures import read_topology
from cryobench.data import GroundTruth, Particles, VolumeSource
from cryobench.fourier import fourier_crop
from cryobench.imaging.ctf import Ctf
from cryobench.io.folders import trajectory_volumes
from cryobench.io.folders.trajectory_volumes import (
    FrameRendering,
    TrajectoryVolumes,
    trajectory_path,
    write_rendering,
    write_topology,
    write_trajectory_part,
)
from cryobench.io.formats.mrc import MrcStacks, begin_stack
from cryobench.io.store import load_dataset, verify_dataset, write_dataset
from cryobench.volumes import render

FRAMES, BOX, PIXEL, RESOLUTION = 8, 11, 6.0, 9.0


@pytest.fixture
def model(rng):
    return AtomicModel.from_positions(rng.normal(size=(60, 3)) * 8, rng.choice([6, 7, 8], 60))


@pytest.fixture
def written(rng, model, tmp_path, monkeypatch):
    """A data set's trajectory in files of 3 frames, and the positions that it should hold."""
    monkeypatch.setattr(trajectory_volumes, "FRAMES_PER_FILE", 3)
    positions = model.positions + rng.normal(size=(FRAMES, 60, 3))
    write_topology(tmp_path, model)
    rounded = [
        write_trajectory_part(tmp_path, part, positions[3 * part : 3 * part + 3]) for part in range(-(-FRAMES // 3))
    ]
    rendering = FrameRendering(
        n_frames=FRAMES, frames_per_file=3, box_size=BOX, pixel_size=PIXEL, resolution=RESOLUTION, oversampling=2
    )
    write_rendering(tmp_path, rendering)
    return np.concatenate(rounded)


def test_each_volume_is_that_of_its_frame(model, written, tmp_path, monkeypatch):
    monkeypatch.undo()  # the number of frames per file is read, not assumed
    volumes = TrajectoryVolumes(tmp_path)
    assert isinstance(volumes, VolumeSource)
    assert (len(volumes), volumes.box_size, volumes.pixel_size) == (FRAMES, BOX, PIXEL)
    for frame in (0, 2, 3, 7):
        np.testing.assert_array_equal(volumes.positions(frame), written[frame])
        fine = render(model.with_positions(written[frame]), 2 * BOX, PIXEL / 2, RESOLUTION)
        expected = fourier_crop(fine, BOX, dimensions=3)
        found = torch.from_numpy(volumes.read(frame))
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6 * float(expected.max()))
    with pytest.raises(IndexError, match="frame 8 of 8"):
        volumes.read(8)


def test_it_can_be_sent_to_another_process(written, tmp_path):
    volumes = TrajectoryVolumes(tmp_path)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(volumes)).read(5), volumes.read(5))


def test_topology_keeps_the_order_of_the_atoms(rng, tmp_path):
    """Chains that come back after others, which structure files elsewhere are sorted for."""
    atoms = 24
    model = AtomicModel(
        positions=rng.normal(size=(atoms, 3)),
        atomic_numbers=rng.choice([1, 6, 7, 8], atoms),
        b_factors=np.zeros(atoms),
        occupancies=np.ones(atoms),
        chains=np.array(list("ABBA") * 6),
        residue_numbers=np.array([5, 6, 6, 5] * 6),
        insertion_codes=np.full(atoms, ""),
        residue_names=np.array(["HOH", "ALA", "ALA", "HOH"] * 6),
        atom_names=np.array(["O", "CA", "CA", "H"] * 6),
    )
    write_topology(tmp_path, model)
    back = read_topology(tmp_path / "truth" / "topology.cif")
    for name in ("atomic_numbers", "chains", "residue_numbers", "residue_names", "atom_names"):
        np.testing.assert_array_equal(getattr(back, name), getattr(model, name))
    np.testing.assert_allclose(back.positions, model.positions, atol=6e-4)


def _write_dataset(folder, rng):
    with begin_stack(folder / "particles.mrcs", FRAMES, BOX, PIXEL) as stack:
        stack.append(rng.normal(size=(FRAMES, BOX, BOX)).astype(np.float32))
    ctf = Ctf.from_columns(FRAMES, defocus_u=1e4, defocus_v=1e4)
    poses = np.broadcast_to(np.eye(3), (FRAMES, 3, 3)), np.zeros((FRAMES, 2))
    particles = Particles(MrcStacks([folder / "particles.mrcs"]), PIXEL, ctf, *poses, sign=-1)
    truth = GroundTruth(np.arange(FRAMES)[::-1], TrajectoryVolumes(folder), *poses)
    return write_dataset(folder, particles, truth, queries=np.arange(2), card={"name": "frames"})


def test_a_data_set_holds_its_trajectory(rng, written, tmp_path):
    dataset = _write_dataset(tmp_path, rng)
    files = {name for name in dataset.card["files"] if name.startswith("truth/")}
    parts = {f"truth/trajectory/{part:03d}.xtc" for part in range(3)}
    assert files == {"truth/particles.parquet", "truth/topology.cif", "truth/volumes.json", *parts}
    verify_dataset(tmp_path)
    truth = load_dataset(tmp_path).truth
    np.testing.assert_array_equal(truth.volume_of(1), TrajectoryVolumes(tmp_path).read(FRAMES - 2))


def test_damage_is_told(rng, written, tmp_path):
    _write_dataset(tmp_path, rng)
    last = tmp_path / trajectory_path(2)
    whole = last.read_bytes()
    last.write_bytes(whole[:-8])
    with pytest.raises(FormatError, match=r"002\.xtc is truncated"):
        load_dataset(tmp_path)
    with pytest.raises(FormatError, match=r"002\.xtc.*truncated"):
        TrajectoryVolumes(tmp_path)
    last.write_bytes((tmp_path / trajectory_path(1)).read_bytes())
    with pytest.raises(FormatError, match=r"002\.xtc holds 3 frames, but .*volumes\.json says 2"):
        TrajectoryVolumes(tmp_path)
    (tmp_path / trajectory_path(1)).unlink()
    with pytest.raises(FormatError, match=r"lacks 001\.xtc"):
        TrajectoryVolumes(tmp_path)


def test_another_topology_is_told(rng, model, written, tmp_path):
    write_topology(tmp_path, model.select(np.arange(60) < 59))
    with pytest.raises(FormatError, match=r"60 atoms per frame, .*topology\.cif 59"):
        TrajectoryVolumes(tmp_path).read(0)
