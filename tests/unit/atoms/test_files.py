"""Structure files: both formats, gzipped or not, and what is wrong with a bad one."""

import gzip

import numpy as np
import pytest

from cryobench._errors import FormatError
from cryobench.atoms import AtomicModel, find_entry, read_structure, write_structure

PDB = """\
HEADER    TEST
ATOM      1  N   GLY H   1       1.000   2.000   3.000  1.00 20.00           N
ATOM      2  CA AGLY H   1       2.000   2.000   3.000  0.60 20.00           C
ATOM      3  CA BGLY H   1       2.500   2.000   3.000  0.40 20.00           C
ATOM      4  H   GLY H   1       3.000   2.000   3.000  1.00 20.00           H
ATOM      5  CA  ALA H   1A      4.000   2.000   3.000  1.00 21.50           C
ATOM      6  CA  ALA L   1       9.000   2.000   3.000  1.00 20.00           C
HETATM    7  C1  NAG H 501       5.000   2.000   3.000  1.00 20.00           C
HETATM    8  O   HOH H 601       7.000   2.000   3.000  1.00 20.00           O
END
"""


@pytest.fixture
def model(tmp_path):
    (tmp_path / "in.pdb").write_text(PDB)
    return read_structure(tmp_path / "in.pdb")


def test_default_keeps_all_but_waters_and_second_conformations(model):
    assert model.atom_names.tolist() == ["N", "CA", "H", "CA", "C1", "CA"]
    assert model.positions[1].tolist() == [2.0, 2.0, 3.0]
    assert model.insertion_codes.tolist() == ["", "", "", "A", "", ""]
    assert model.chains.tolist() == ["H"] * 5 + ["L"]
    assert model.b_factors[3] == 21.5


def test_models_are_counted_from_zero(tmp_path, model):
    body = "".join(line + "\n" for line in PDB.splitlines() if line.startswith("ATOM"))
    shifted = body.replace("   1.000   2.000", "  11.000   2.000")
    path = tmp_path / "two.pdb"
    path.write_text(f"MODEL        1\n{body}ENDMDL\nMODEL        2\n{shifted}ENDMDL\nEND\n")
    assert read_structure(path).positions[0, 0] == 1.0
    assert read_structure(path, model=1).positions[0, 0] == 11.0
    with pytest.raises(ValueError, match="holds 2 models"):
        read_structure(path, model=2)


@pytest.mark.parametrize("name", ["out.pdb", "out.cif", "out.pdb.gz", "out.CIF.gz"])
def test_round_trip(tmp_path, model, name):
    write_structure(model, tmp_path / name)
    again = read_structure(tmp_path / name)
    for field in model.__dataclass_fields__:
        mine, theirs = getattr(model, field), getattr(again, field)
        if mine.dtype.kind == "f":
            np.testing.assert_allclose(theirs, mine, atol=6e-4)
        else:
            np.testing.assert_array_equal(theirs, mine)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_writing_the_same_model_twice_gives_the_same_bytes(tmp_path, model):
    for name in ("a.cif.gz", "b.cif.gz"):
        write_structure(model, tmp_path / name)
    assert (tmp_path / "a.cif.gz").read_bytes() == (tmp_path / "b.cif.gz").read_bytes()


def test_format_is_told_from_content(tmp_path, model):
    write_structure(model, tmp_path / "out.cif")
    (tmp_path / "out.cif").rename(tmp_path / "misnamed.pdb")
    assert len(read_structure(tmp_path / "misnamed.pdb")) == len(model)


def test_bad_files_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.pdb does not exist"):
        read_structure(tmp_path / "none.pdb")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_structure(tmp_path)
    (tmp_path / "map.mrc").write_bytes(bytes(range(256)))
    with pytest.raises(FormatError, match=r"map\.mrc is neither PDB nor mmCIF.*not text"):
        read_structure(tmp_path / "map.mrc")
    (tmp_path / "notes.txt").write_text("some words\n")
    with pytest.raises(FormatError, match="begins with 'some words'"):
        read_structure(tmp_path / "notes.txt")
    (tmp_path / "empty.pdb").write_text("")
    with pytest.raises(FormatError, match="is empty"):
        read_structure(tmp_path / "empty.pdb")


@pytest.mark.parametrize("kept", [10, 120])
def test_truncated_gzip(tmp_path, kept):
    path = tmp_path / "cut.pdb.gz"
    path.write_bytes(gzip.compress(PDB.encode())[:kept])
    with pytest.raises(FormatError, match=rf"cut\.pdb\.gz is not a complete gzip file \({kept} bytes"):
        read_structure(path)


def test_damaged_text(tmp_path, model):
    (tmp_path / "cut.pdb").write_text(PDB[: PDB.index("9.000   2.000")])
    with pytest.raises(FormatError, match=r"cut\.pdb cannot be read as PDB"):
        read_structure(tmp_path / "cut.pdb")
    write_structure(model, tmp_path / "whole.cif")
    text = (tmp_path / "whole.cif").read_text()
    (tmp_path / "cut.cif").write_text(text[: text.rindex("ATOM") + 30])
    with pytest.raises(FormatError, match=r"cut\.cif cannot be read as mmCIF"):
        read_structure(tmp_path / "cut.cif")


def test_structure_without_atoms(tmp_path):
    (tmp_path / "water.pdb").write_text("\n".join(line for line in PDB.splitlines() if "HOH" in line) + "\n")
    with pytest.raises(ValueError, match="no atoms to image"):
        read_structure(tmp_path / "water.pdb")
    (tmp_path / "header.pdb").write_text("HEADER    NOTHING\nEND\n")
    with pytest.raises(ValueError, match="no atoms to image"):
        read_structure(tmp_path / "header.pdb")


def test_unknown_element_is_named(tmp_path):
    (tmp_path / "x.pdb").write_text(PDB.replace("           N\n", "           X\n"))
    with pytest.raises(FormatError, match="1 atoms have no known element, the first is 'N' of residue GLY 1"):
        read_structure(tmp_path / "x.pdb")


def test_what_pdb_cannot_hold_is_refused(tmp_path):
    model = AtomicModel.from_positions(np.array([[1500.0, 0, 0]]), np.array([6]))
    with pytest.raises(ValueError, match=r"Write \.cif"):
        write_structure(model, tmp_path / "far.pdb")
    write_structure(model, tmp_path / "far.cif")
    assert read_structure(tmp_path / "far.cif").positions[0, 0] == 1500.0
    with pytest.raises(ValueError, match=r"end in \.pdb or \.cif"):
        write_structure(model, tmp_path / "far.xyz")


def test_real_antibody():
    model = read_structure(find_entry("1HZH").path)
    assert len(model) == 10_576
    assert model.mass == pytest.approx(139_803, abs=1)
    assert model.mass_with_hydrogens == pytest.approx(150_300, rel=2e-3)
    assert "HOH" not in model.residue_names
