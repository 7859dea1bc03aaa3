"""Topologies and trajectories of the common formats: frames in Å, nothing written beside them, damage told."""

import gzip
import pickle
import warnings

import gemmi
import MDAnalysis
import numpy as np
import pytest

from cryobench._errors import FormatError
from cryobench.atoms.files.structures import read_topology, write_structure
from cryobench.atoms.files.trajectories import Trajectory
from cryobench.atoms.model import AtomicModel

FRAMES = 5
RESIDUES = ["ALA", "GLY", "HOH", "ZN", "NA", "HOH"]
ATOMS = [("N", 7), ("CA", 6), ("HA", 1)], [("N", 7), ("CA", 6)], [("O", 8)], [("ZN", 30)], [("NA", 11)], [("O", 8)]


@pytest.fixture
def model(rng):
    rows = [(residue, number, *atom) for number, residue in enumerate(RESIDUES) for atom in ATOMS[number]]
    return AtomicModel(
        positions=np.round(rng.normal(size=(len(rows), 3)) * 10, 3),
        atomic_numbers=np.array([row[3] for row in rows]),
        b_factors=np.zeros(len(rows)),
        occupancies=np.ones(len(rows)),
        # Water between the chains, and chain A once more at the end: order must be kept.
        chains=np.array(["ABWBWA"[row[1]] for row in rows]),
        residue_numbers=np.array([row[1] + 1 for row in rows]),
        insertion_codes=np.full(len(rows), ""),
        residue_names=np.array([row[0] for row in rows]),
        atom_names=np.array([row[2] for row in rows]),
    )


@pytest.fixture
def frames(rng, model):
    return np.round(model.positions + rng.normal(size=(FRAMES, len(model), 3)), 2)


@pytest.fixture
def folder(tmp_path, model, frames):
    """One topology and the same frames in every format, written by other programs."""
    write_structure(model, tmp_path / "top.pdb")
    write_structure(model, tmp_path / "top.cif")
    universe = MDAnalysis.Universe.empty(len(model), trajectory=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("run.xtc", "run.trr", "run.dcd"):
            with MDAnalysis.Writer(str(tmp_path / name), len(model)) as writer:
                for frame in frames:
                    universe.atoms.positions = frame
                    writer.write(universe.atoms)
    structure = gemmi.read_structure(str(tmp_path / "top.pdb"), merge_chain_parts=False)
    first = structure[0].clone()
    del structure[0]
    for number, frame in enumerate(frames, start=1):
        added = structure.add_model(first, pos=-1)
        added.num = number
        atoms = [atom for chain in added for residue in chain for atom in residue]
        for atom, position in zip(atoms, frame, strict=True):
            atom.pos = gemmi.Position(*position)
    structure.write_pdb(str(tmp_path / "run.pdb"))
    structure.make_mmcif_document().write_file(str(tmp_path / "run.cif"))
    (tmp_path / "run.pdb.gz").write_bytes(gzip.compress((tmp_path / "run.pdb").read_bytes()))
    return tmp_path


@pytest.mark.parametrize("topology", ["top.pdb", "top.cif"])
@pytest.mark.parametrize("name", ["run.xtc", "run.trr", "run.dcd", "run.pdb", "run.cif", "run.pdb.gz"])
def test_frames_of_every_format(folder, model, frames, topology, name):
    files = {path.name for path in folder.iterdir()}
    trajectory = pickle.loads(pickle.dumps(Trajectory(folder / topology, [folder / name], selection=None)))
    assert len(trajectory) == FRAMES
    for field in ("atomic_numbers", "chains", "residue_numbers", "residue_names", "atom_names"):
        np.testing.assert_array_equal(getattr(trajectory.topology, field), getattr(model, field))
    np.testing.assert_allclose(trajectory.topology.positions, model.positions, atol=1e-3)
    wanted = [3, 0, 3, 4]
    np.testing.assert_allclose(trajectory.read(wanted), frames[wanted], atol=2e-5)
    assert trajectory.read([]).shape == (0, len(model), 3)
    with pytest.raises(IndexError, match="0 to 4, requested 1 to 5"):
        trajectory.read([1, 5])
    assert {path.name for path in folder.iterdir()} == files  # no offsets cached beside the user's file


def test_files_follow_one_another(folder, frames):
    trajectory = Trajectory(folder / "top.pdb", [folder / "run.dcd", folder / "run.xtc"], selection=None)
    assert len(trajectory) == 2 * FRAMES
    np.testing.assert_allclose(trajectory.read([7, 1, 9, 0]), frames[[2, 1, 4, 0]], atol=1e-5)


def test_models_of_one_file_are_frames(folder, frames):
    for name in ("run.pdb", "run.cif"):
        trajectory = Trajectory(folder / name, selection=None)
        np.testing.assert_allclose(trajectory.read(range(FRAMES)), frames, atol=1e-3)


def test_solvent_is_left_out(folder, frames, model):
    """Water and salt go by default; metals and hydrogens stay; a selection of one's own decides otherwise."""
    trajectory = Trajectory(folder / "top.pdb", [folder / "run.xtc"])
    assert trajectory.topology.residue_names.tolist() == ["ALA"] * 3 + ["GLY"] * 2 + ["ZN"]
    kept = np.isin(model.residue_names, ["ALA", "GLY", "ZN"])
    np.testing.assert_allclose(trajectory.read([1]), frames[[1]][:, kept], atol=1e-5)
    chosen = Trajectory(folder / "top.cif", [folder / "run.xtc"], selection="chainID B and not element H")
    assert chosen.topology.atom_names.tolist() == ["N", "CA", "ZN"]
    for selection, message in (
        ("resname XYZ", "none of the 9 atoms"),
        ("oddity 3", "oddity"),
        ("(", "is invalid"),
    ):
        with pytest.raises(ValueError, match=message):
            Trajectory(folder / "top.pdb", [folder / "run.xtc"], selection=selection)


def test_topology_of_another_program(folder, model, frames):
    """GRO has neither elements nor chains: they are guessed from the names, and left empty."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        universe = MDAnalysis.Universe(str(folder / "top.pdb"))
        universe.atoms.positions = frames[0]
        universe.dimensions = [50, 50, 50, 90, 90, 90]
        universe.atoms.write(str(folder / "top.gro"))
    trajectory = Trajectory(folder / "top.gro", [folder / "run.dcd"], selection="not resname HOH")
    assert trajectory.topology.atomic_numbers.tolist() == [7, 6, 1, 7, 6, 30, 11]
    np.testing.assert_allclose(trajectory.read([2])[0], frames[2][model.residue_names != "HOH"], atol=1e-5)
    (folder / "odd.gro").write_text("no gro file\n")
    with pytest.raises(FormatError, match=r"odd\.gro cannot be read as a topology"):
        Trajectory(folder / "odd.gro", [folder / "run.dcd"])


def test_topology_without_positions(folder, model, frames):
    lines = ["PSF", "", "       1 !NTITLE", " REMARKS made for a test", "", f"{len(model):8d} !NATOM"]
    for index in range(len(model)):
        name, residue = model.atom_names[index], model.residue_names[index]
        lines.append(
            f"{index + 1:8d} {model.chains[index]:4s} {model.residue_numbers[index]:<4d} {residue:4s} {name:4s} "
            f"{name:4s}{0.0:14.6f}{12.0:14.4f}{0:12d}"
        )
    (folder / "top.psf").write_text("\n".join([*lines, "", "       0 !NBOND: bonds", "", ""]))
    trajectory = Trajectory(folder / "top.psf", [folder / "run.dcd"], selection=None)
    np.testing.assert_array_equal(trajectory.topology.chains, model.chains)
    np.testing.assert_allclose(trajectory.topology.positions, frames[0], atol=1e-5)


def test_atoms_that_do_not_match_are_told(folder, model):
    write_structure(model.select(np.arange(len(model)) < 7), folder / "small.pdb")
    with pytest.raises(ValueError, match=r"run\.xtc has 9 atoms per frame, but topology .*small\.pdb has 7"):
        Trajectory(folder / "small.pdb", [folder / "run.xtc"])


@pytest.mark.parametrize(
    ("name", "missing"),
    [(f"run.{kind}", count) for kind in ("xtc", "trr", "dcd") for count in (3, 90, 200)]
    # The last 160 bytes of a PDB file are ENDMDL and END: without END nothing is missing.
    + [("run.pdb", 160), ("run.pdb", 300), ("run.cif", 3), ("run.cif", 200)],
)
def test_a_file_that_is_cut_off_is_told(folder, name, missing):
    content = (folder / name).read_bytes()
    path = folder / f"cut-{name}"
    path.write_bytes(content[:-missing])
    with pytest.raises(FormatError, match=rf"cut-{name}"):
        Trajectory(folder / "top.pdb", [path]).read(range(FRAMES))


def test_missing_and_unknown_files_are_told(folder):
    with pytest.raises(FileNotFoundError, match=r"none\.pdb does not exist"):
        Trajectory(folder / "none.pdb")
    with pytest.raises(FileNotFoundError, match=r"none\.xtc does not exist"):
        Trajectory(folder / "top.pdb", [folder / "none.xtc"])
    (folder / "run.mdcrd").write_text("x")
    with pytest.raises(FormatError, match=r"run\.mdcrd is not a supported trajectory.*\.xtc, \.trr, \.dcd"):
        Trajectory(folder / "top.pdb", [folder / "run.mdcrd"])
    (folder / "empty.xtc").write_bytes(b"")
    with pytest.raises(FormatError, match=r"empty\.xtc"):
        Trajectory(folder / "top.pdb", [folder / "empty.xtc"])


def test_written_topology_is_read_in_order(folder, model):
    np.testing.assert_array_equal(read_topology(folder / "top.cif").atom_names, model.atom_names)
