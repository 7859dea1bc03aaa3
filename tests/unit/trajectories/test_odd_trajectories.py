"""Trajectories as simulations leave them: solvent without elements, copies under one name, atoms wrapped in a box."""

import warnings

import MDAnalysis
import numpy as np
import pytest

from cryobench._errors import FormatError
from cryobench.atoms.files.trajectories import Trajectory
from pdb_text import HELIX_ATOMS, HELIX_ELECTRONS, atom_line, helix_lines, helix_positions, write_pdb

BOX = 60.0
WALL = (-3.0, 20.0, 20.0)


def write_frames(path, frames, cell=(BOX, BOX, BOX, 90, 90, 90)):
    universe = MDAnalysis.Universe.empty(len(frames[0]), trajectory=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with MDAnalysis.Writer(str(path), len(frames[0])) as writer:
            for frame in frames:
                universe.atoms.positions = frame
                universe.dimensions = cell
                writer.write(universe.atoms)
    return path


def write_gro(path, rows, positions, box=BOX):
    """A GRO file of (name, residue, number) rows and positions in Å."""
    lines = [
        f"{number:5d}{residue:<5}{name:>5}{index:5d}" + "".join(f"{x / 10:8.3f}" for x in xyz)
        for index, ((name, residue, number), xyz) in enumerate(zip(rows, positions, strict=True), 1)
    ]
    path.write_text("\n".join(["made for a test", str(len(lines)), *lines, f"{box / 10:10.5f}" * 3, ""]))
    return path


HELIX_ROWS = [(name, "ALA", residue) for residue in range(1, 6) for name in ("N", "CA", "C", "O")]


def test_sites_without_mass_need_no_element(tmp_path):
    """Four-site water goes with the selection; a lone pair of a ligand in any case."""
    rows = [*HELIX_ROWS, *((name, "SOL", 6) for name in ("OW", "HW1", "HW2", "MW"))]
    where = np.concatenate([helix_positions(), np.arange(12.0).reshape(4, 3)])
    run = write_frames(tmp_path / "run.xtc", [where] * 2)
    trajectory = Trajectory(write_gro(tmp_path / "top.gro", rows, where), [run])
    assert trajectory.topology.atomic_numbers.sum() == HELIX_ELECTRONS
    assert trajectory.read([0]).shape == (1, HELIX_ATOMS, 3)
    everything = Trajectory(tmp_path / "top.gro", [run], selection=None)
    assert everything.topology.atomic_numbers[HELIX_ATOMS:].tolist() == [8, 1, 1]
    np.testing.assert_allclose(everything.read([1])[0], where[:-1], atol=0.01)
    assert everything.notes == ["1 massless sites are left out."]
    lines = [*helix_lines(), *(atom_line("EPW", "HOH", 6, (0, 0, 40.0 + i), element="EP") for i in range(4))]
    assert len(Trajectory(write_pdb(tmp_path / "top.pdb", lines), [run]).topology) == HELIX_ATOMS


def test_elements_that_no_column_states_are_those_of_the_residue(tmp_path):
    rows = [*HELIX_ROWS, ("HG", "SER", 6), ("NA", "HEM", 7), ("FE", "HEM", 7), ("CA", "CA", 8), ("CAL", "CAL", 9)]
    where = np.arange(3.0 * len(rows)).reshape(-1, 3)
    trajectory = Trajectory(
        write_gro(tmp_path / "top.gro", rows, where), [write_frames(tmp_path / "run.xtc", [where])], selection=None
    )
    assert trajectory.topology.atomic_numbers[HELIX_ATOMS:].tolist() == [1, 7, 26, 20, 20]
    rows[-1] = ("BB", "XYZ", 9)
    trajectory = Trajectory(write_gro(tmp_path / "top.gro", rows, where), [tmp_path / "run.xtc"], selection=None)
    assert trajectory.topology.atomic_numbers[-1] == 5
    rows[-1] = ("X1", "XYZ", 9)
    with pytest.raises(FormatError, match="1 atoms have no known element, the first is 'X1' of residue XYZ 9"):
        Trajectory(write_gro(tmp_path / "top.gro", rows, where), [tmp_path / "run.xtc"], selection=None)


def test_copies_under_one_name_stay_in_the_order_of_the_file(tmp_path):
    lines = helix_lines() + helix_lines((30.0, 0, 0))
    frame = np.concatenate([helix_positions(), helix_positions((30.0, 0, 0))])
    run = write_frames(tmp_path / "run.xtc", [frame])
    trajectory = Trajectory(write_pdb(tmp_path / "top.pdb", lines), [run])
    np.testing.assert_allclose(trajectory.topology.positions, frame, atol=1e-3)
    np.testing.assert_allclose(trajectory.read([0])[0], frame, atol=0.01)
    assert trajectory.topology.atom_names.tolist() == ["N", "CA", "C", "O"] * 10


@pytest.mark.parametrize("kind", ["xtc", "trr", "dcd"])
def test_frames_wrapped_in_a_box_are_put_together(tmp_path, kind):
    dimer = np.concatenate([helix_positions(), helix_positions((7.0, 0, 0))])
    lines = helix_lines() + helix_lines((7.0, 0, 0), chain="B")
    inside, across = dimer + np.full(3, 20.0), dimer + np.array(WALL)
    run = write_frames(tmp_path / f"run.{kind}", [inside, across % BOX])
    trajectory = Trajectory(write_pdb(tmp_path / "top.pdb", lines), [run])
    found = trajectory.read([0, 1])
    # Not in the wall: as written, to the last bit of the file. In it: at the image that lies by the topology.
    np.testing.assert_array_equal(found[0], Trajectory(tmp_path / "top.pdb", [run]).read([0])[0])
    np.testing.assert_allclose(found[0], inside, atol=0.01)
    nearest = across - BOX * np.rint((across.mean(axis=0) - dimer.mean(axis=0)) / BOX)
    np.testing.assert_allclose(found[1], nearest, atol=0.01)
    assert trajectory.notes == ["in 1 frames molecules were cut by the periodic box and are made whole."]


def test_models_with_a_box_are_put_together(tmp_path):
    box = f"CRYST1{BOX:9.3f}{BOX:9.3f}{BOX:9.3f}  90.00  90.00  90.00 P 1           1"
    inside, across = helix_positions((20.0, 20.0, 20.0)), helix_positions((0.0, 20.0, 20.0)) % BOX
    models = [helix_lines(positions=each) for each in (inside, across)]
    path = write_pdb(
        tmp_path / "run.pdb", [box, "MODEL        1", *models[0], "ENDMDL", "MODEL        2", *models[1], "ENDMDL"]
    )
    found = Trajectory(path).read([0, 1])
    np.testing.assert_allclose(found[0], inside, atol=1e-3)
    for frame in found:
        np.testing.assert_allclose(np.ptp(frame, axis=0), np.ptp(inside, axis=0), atol=3e-3)


def test_models_of_odd_text_and_of_vmd(tmp_path):
    models = [*helix_lines(), "END", *helix_lines((1.0, 0, 0))]
    text = write_pdb(tmp_path / "vmd.pdb", ["REMARK 1 3 Å", *models]).read_text()
    for number, content in enumerate(
        (text.encode(), b"\xef\xbb\xbf" + text.encode(), text.encode("latin-1"), text.replace("\n", "\r").encode())
    ):
        path = tmp_path / f"odd{number}.pdb"
        path.write_bytes(content)
        found = Trajectory(path).read([0, 1])
        np.testing.assert_allclose(found[1] - found[0], np.tile([1.0, 0, 0], (HELIX_ATOMS, 1)), atol=2e-3)


def test_coordinates_of_a_model_that_are_none_are_told(tmp_path):
    bad = helix_lines()
    bad[2] = bad[2][:30] + "********" + bad[2][38:]
    path = write_pdb(
        tmp_path / "bad.pdb", ["MODEL        1", *helix_lines(), "ENDMDL", "MODEL        2", *bad, "ENDMDL"]
    )
    with pytest.raises(FormatError, match=r"bad\.pdb cannot be read as PDB: line \d+ .*\*\*\*"):
        Trajectory(path)
