"""Structure files as programs write them: copies under one name, solvent of many names, models, elements left out."""

import gzip

import gemmi
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryobench._errors import FormatError
from cryobench.atoms import read_structure
from cryobench.atoms.files.structures import holds_several_models, read_topology, write_structure
from pdb_text import HELIX_ATOMS, HELIX_ELECTRONS, atom_line, helix_lines, helix_positions, write_pdb

APART = (30.0, 0.0, 0.0)


def count(path, **options):
    """Atoms and electrons of what is read."""
    model = read_structure(path, **options)
    return len(model), int(model.atomic_numbers.sum())


COPIES = {
    "under one chain letter": helix_lines() + helix_lines(APART),
    "with TER": [*helix_lines(), "TER", *helix_lines(APART)],
    "without chains": [*helix_lines(chain=" "), "TER", *helix_lines(APART, chain=" ")],
    "segments": helix_lines(segment="PROA") + helix_lines(APART, segment="PROB"),
}


@pytest.mark.parametrize("lines", COPIES.values(), ids=COPIES)
def test_copies_are_no_alternative_conformations(tmp_path, lines):
    path = write_pdb(tmp_path / "two.pdb", lines)
    assert count(path) == (2 * HELIX_ATOMS, 2 * HELIX_ELECTRONS)
    expected = np.concatenate([helix_positions(), helix_positions(APART)])
    np.testing.assert_allclose(read_structure(path).positions, expected, atol=6e-4)
    # A trajectory of the same atoms is in the order of the file.
    np.testing.assert_allclose(read_topology(path).positions, expected, atol=6e-4)
    write_structure(read_structure(path), tmp_path / "two.cif")
    assert count(tmp_path / "two.cif") == (2 * HELIX_ATOMS, 2 * HELIX_ELECTRONS)
    np.testing.assert_allclose(read_topology(tmp_path / "two.cif").positions, expected, atol=2e-3)


def test_one_number_for_unlike_atoms(tmp_path):
    heme = atom_line("FE", "HEM", 1, (0, 40, 0), element="FE")
    assert count(write_pdb(tmp_path / "a.pdb", [*helix_lines(), heme]))[0] == HELIX_ATOMS + 1
    ions = [atom_line("MG", "MG", 500, (9 * i, 40, 0), element="MG") for i in range(5)]
    assert count(write_pdb(tmp_path / "b.pdb", [*helix_lines(), *ions]))[0] == HELIX_ATOMS + 5
    twice = [atom_line("H2B", "NBD", 361, (9 * i, 40, 0), element="H") for i in range(2)]
    assert count(write_pdb(tmp_path / "c.pdb", [*helix_lines(), *twice]))[0] == HELIX_ATOMS + 2


def test_a_letter_marks_an_alternative_conformation(tmp_path):
    def atom(name, residue, x, altloc):
        return atom_line(name, residue, 9, (x, 0, 0), element="C", altloc=altloc)

    cases = {
        "first of two": ([atom("CA", "ALA", 1, "A"), atom("CA", "ALA", 2, "B")], [1]),
        "none beside one without": ([atom("CA", "ALA", 1, "B"), atom("CA", "ALA", 2, " ")], [2]),
        "another residue": ([atom("CA", "PRO", 1, "A"), atom("CA", "SER", 2, "B"), atom("CB", "SER", 3, "B")], [1]),
        "a ligand without": ([atom("CA", "PRO", 1, "A"), atom("CA", "LIG", 2, " ")], [1, 2]),
        "in turn": ([atom("CA", "ALA", 1, "A"), atom("CB", "ALA", 2, "A"), atom("CA", "ALA", 3, "B")], [1, 2]),
    }
    for lines, kept in cases.values():
        path = write_pdb(tmp_path / "in.pdb", lines)
        assert read_structure(path).positions[:, 0].tolist() == kept


def test_atoms_of_a_residue_are_gathered(tmp_path):
    """Hydrogens at the end of the file belong to their residues, which lack none then."""
    hydrogens = [atom_line("HA", "ALA", number, (number, 9, 9), element="H") for number in range(1, 6)]
    model = read_structure(write_pdb(tmp_path / "h.pdb", helix_lines() + hydrogens))
    assert model.residue_numbers.tolist() == np.repeat(np.arange(1, 6), 5).tolist()
    assert model.mass_with_hydrogens == model.mass


@pytest.mark.parametrize("water", ["HOH", "WAT", "SOL", "TIP", "TIP3", "TIP4", "T3P", "T4P", "SPC", "SPCE", "DOD"])
def test_water_has_many_names(tmp_path, water):
    lines = [atom_line("O", water, 300 + i, (3 * i, 40, 0), element="O", chain="W") for i in range(4)]
    # A virtual site has no element; with its water it goes.
    lines += [atom_line("MW", water, 300, (0, 40, 0.1), element="EP", chain="W")]
    path = write_pdb(tmp_path / "in.pdb", helix_lines() + lines)
    notes = []
    assert count(path, notes=notes) == (HELIX_ATOMS, HELIX_ELECTRONS)
    assert notes == ["in.pdb: 5 atoms of water are left out."]


@pytest.mark.parametrize(
    ("water", "salt", "kept"),
    [("SOL", "NA", 0), ("WAT", "Na+", 0), ("HOH", "SOD", 0), ("HOH", "NA", 1), ("SOL", "MG", 1), ("SOL", "ZN", 1)],
)
def test_salt_of_a_simulation_is_left_out(tmp_path, water, salt, kept):
    """Ions of a deposited structure stay, and metals in any case."""
    lines = [
        atom_line("O", water, 300, (0, 40, 0), element="O", chain="W"),
        atom_line(salt, salt, 301, (9, 40, 0), chain="W", padded=f"{salt:<4}"),
    ]
    assert len(read_structure(write_pdb(tmp_path / "in.pdb", helix_lines() + lines))) == HELIX_ATOMS + kept


def test_hydrogens_of_water_show_a_simulation(tmp_path):
    water = [atom_line(name, "HOH", 300, (0, 40, i), element=name[0]) for i, name in enumerate(("O", "H1", "H2"))]
    ion = [atom_line("CL", "CL", 301, (9, 40, 0), element="CL")]
    assert count(write_pdb(tmp_path / "in.pdb", helix_lines() + water + ion))[0] == HELIX_ATOMS
    assert count(write_pdb(tmp_path / "in.pdb", helix_lines() + water[:1] + ion))[0] == HELIX_ATOMS + 1


def test_virtual_sites_of_a_molecule_have_no_mass(tmp_path):
    lines = [*helix_lines(), atom_line("LP1", "LIG", 9, (0, 0, 30)), atom_line("C1", "LIG", 9, (0, 0, 31))]
    notes = []
    assert count(write_pdb(tmp_path / "in.pdb", lines), notes=notes) == (HELIX_ATOMS + 1, HELIX_ELECTRONS + 6)
    assert notes == ["in.pdb: 1 sites without mass (LP1) are left out."]


@pytest.mark.parametrize(
    ("padded", "residue", "element", "number"),
    [
        ("CA  ", "ALA", "", 6),  # an alpha carbon in the wrong column
        (" CA ", "ALA", "CA", 6),  # the first letters of the name in the column of the element
        ("CA  ", "CA ", "", 20),
        (" CA ", "CA ", "C", 20),
        ("CAL ", "CAL", "", 20),
        ("HG  ", "SER", "", 1),
        (" HG ", "SER", "HG", 1),
        ("HG  ", "HG ", "", 80),
        ("HG11", "VAL", "", 1),
        ("1HG1", "VAL", "", 1),
        ("CD1 ", "LEU", "", 6),
        ("NE2 ", "HIS", "", 7),
        ("SE  ", "MSE", "", 34),
        (" NA ", "HEM", "", 7),
        ("FE  ", "HEM", "", 26),
        ("CL1 ", "LIG", "", 17),
        ("HO5'", "A  ", "", 1),
        (" P  ", "DA ", "", 15),
        ("SOD ", "SOD", "", 11),
        ("ZN  ", "ZN ", "", 30),
    ],
)
def test_elements_without_or_with_a_wrong_column(tmp_path, padded, residue, element, number):
    line = atom_line(padded.strip(), residue.strip(), 9, (0, 0, 30), element=element, padded=padded)
    path = write_pdb(tmp_path / "in.pdb", [*helix_lines(), line])
    assert read_topology(path).atomic_numbers[-1] == number


def test_names_in_the_first_column_say_nothing_of_elements(tmp_path):
    """All names begin in column 13, as some programs write them: NA of a heme is then no sodium, FE still is iron."""
    lines = [line[:12] + f"{line[12:16].strip():<4}" + line[16:76] for line in helix_lines()]
    lines += [
        atom_line(name, "HEM", 9, (i, 0, 30), padded=f"{name:<4}") for i, name in enumerate(("NA", "FE", "CHA"))
    ]
    numbers = read_structure(write_pdb(tmp_path / "in.pdb", lines)).atomic_numbers
    assert numbers[:HELIX_ATOMS].sum() == HELIX_ELECTRONS
    assert numbers[HELIX_ATOMS:].tolist() == [7, 26, 6]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda line: line[:30] + "********" + line[38:], r"columns 31 to 54 must hold x, y and z"),
        (lambda line: line[:26] + " " + line[26:], r"columns 31 to 54"),  # all shifted to the right
        (lambda line: line[:25] + line[27:31] + "-" + line[32:], r"columns"),
        (lambda line: line[:6] + " " + line[6:], r"columns 31 to 54"),  # a serial number of six digits
        (lambda line: line[:30] + "     nan" + line[38:], r"columns 31 to 54 must hold finite x, y and z"),
        (lambda line: line[:50], r"truncated"),
        (lambda line: line[:20], r"columns 31 to 54 must hold x, y and z.* truncated"),
        (lambda line: line[:54] + "******" + line[60:], r"columns 55 to 66"),
    ],
)
def test_columns_that_hold_no_numbers_are_told(tmp_path, change, message):
    lines = helix_lines((100.0, 100.0, 100.0))
    lines[7] = change(lines[7])
    path = write_pdb(tmp_path / "bad.pdb", lines)
    for read in (read_structure, read_topology):
        with pytest.raises(FormatError, match=rf"bad\.pdb cannot be read as PDB: line 8 is .*{message}"):
            read(path)


def test_coordinates_of_mmcif_that_are_no_numbers_are_told(tmp_path):
    write_structure(read_structure(write_pdb(tmp_path / "in.pdb", helix_lines())), tmp_path / "in.cif")
    text = (tmp_path / "in.cif").read_text()
    first = f"{helix_positions()[0, 0]:.3f}".rstrip("0")
    assert first in text
    (tmp_path / "bad.cif").write_text(text.replace(f" {first} ", " ******** ", 1))
    with pytest.raises(FormatError, match=r"bad\.cif: 1 atoms have coordinates that are not numbers.*\*\*\*"):
        read_structure(tmp_path / "bad.cif")


def test_residue_numbers_of_mmcif_that_are_no_numbers_are_told(tmp_path):
    block = gemmi.cif.read_string(
        gemmi.read_pdb(str(write_pdb(tmp_path / "in.pdb", helix_lines()))).make_mmcif_document().as_string()
    )[0]
    block.find_values("_atom_site.auth_seq_id")[3] = "2A"
    (tmp_path / "bad.cif").write_text(block.as_string())
    with pytest.raises(FormatError, match=r"bad\.cif: a residue has the number '2A' \(auth_seq_id\)"):
        read_structure(tmp_path / "bad.cif")


@pytest.mark.parametrize(("field", "number"), [("9999", 9999), ("A000", 10_000), ("A00B", 10_011), ("****", 10_000)])
def test_residue_numbers_beyond_their_columns(tmp_path, field, number):
    path = write_pdb(tmp_path / "in.pdb", [atom_line("N", "GLY", field, (0, 0, 0))])
    assert read_topology(path).residue_numbers[0] == number
    five = atom_line("N", "GLY", "1234", (0, 0, 0))
    assert read_topology(write_pdb(tmp_path / "in.pdb", [five[:26] + "5" + five[27:]])).residue_numbers[0] == 12_345


@pytest.mark.parametrize("field", ["****", "    "])
def test_residues_without_numbers_are_told_apart_by_their_atoms(tmp_path, field):
    """Hydrogens that are not modelled are counted residue by residue."""
    lines = helix_lines()
    expected = read_structure(write_pdb(tmp_path / "in.pdb", lines))
    found = read_structure(write_pdb(tmp_path / "out.pdb", [line[:22] + field + line[26:] for line in lines]))
    assert found.mass_with_hydrogens == pytest.approx(expected.mass_with_hydrogens)
    np.testing.assert_array_equal(found.residue_numbers - 10_000, expected.residue_numbers - 1)


def _encode(text):
    return {
        "UTF-8 with a mark": b"\xef\xbb\xbf" + text.encode(),
        "UTF-16": b"\xff\xfe" + text.encode("utf-16-le"),
        "Latin-1": text.encode("latin-1"),
        "Windows": text.replace("\n", "\r\n").encode(),
        "old Mac": text.replace("\n", "\r").encode(),
        "gzip of a mark": gzip.compress(b"\xef\xbb\xbf" + text.encode()),
    }


@pytest.mark.parametrize("kind", _encode(""))
@pytest.mark.parametrize("form", ["pdb", "cif"])
def test_text_of_any_editor(tmp_path, kind, form):
    path = write_pdb(tmp_path / "in.pdb", helix_lines())
    text = path.read_text() + "REMARK   1 3 Å, Zürich\n"
    if form == "cif":
        write_structure(read_structure(path), tmp_path / "in.cif")
        text = (tmp_path / "in.cif").read_text() + '_struct.title "3 Å, Zürich"\n'
    path = tmp_path / f"odd.{form}"
    path.write_bytes(_encode(text)[kind])
    assert count(path) == (HELIX_ATOMS, HELIX_ELECTRONS)


def test_a_structure_made_to_fill_the_memory_is_refused(tmp_path):
    (tmp_path / "bomb.pdb.gz").write_bytes(gzip.compress(b"REMARK\n" * 2_000_000))
    with pytest.raises(FormatError, match=r"bomb\.pdb\.gz has \d\d,\d+ bytes but would unpack to more than 1\d,"):
        read_structure(tmp_path / "bomb.pdb.gz")


def test_a_map_is_still_no_structure(tmp_path):
    (tmp_path / "map.mrc").write_bytes(np.arange(300, dtype=np.float32).tobytes())
    with pytest.raises(FormatError, match="is not text"):
        read_structure(tmp_path / "map.mrc")


def _as_models(*models):
    return [line for n, each in enumerate(models, 1) for line in (f"MODEL     {n:4d}", *each, "ENDMDL")]


def _turned(angle):
    turn = Rotation.from_euler("z", angle, degrees=True).as_matrix()
    return (helix_positions() - [20, 0, 0]) @ turn.T + [20, 0, 0]


def test_copies_of_an_assembly_are_one_structure(tmp_path):
    path = write_pdb(tmp_path / "dimer.pdb", _as_models(helix_lines(), helix_lines(positions=_turned(180))))
    assert holds_several_models(path)
    assert not holds_several_models(path, unless_assembly=True)
    notes = []
    model = read_structure(path, notes=notes)
    assert int(model.atomic_numbers.sum()) == 2 * HELIX_ELECTRONS
    assert sorted(set(model.chains.tolist())) == ["A", "A-2"]
    assert notes == ["dimer.pdb: its 2 models are read as one structure, copies in an assembly."]
    assert len(read_structure(path, model=1)) == HELIX_ATOMS
    with pytest.raises(ValueError, match="holds 2 models"):
        read_structure(path, model=2)


def test_conformations_are_no_copies(tmp_path):
    bent = helix_positions() + [[0.02 * i, 0, 0] for i in range(HELIX_ATOMS)]
    moved_a_little = helix_positions((0.5, 0, 0))
    bent_apart = bent + np.array([40.0, 0, 0])
    for other in (bent, moved_a_little, helix_positions(), bent_apart):
        path = write_pdb(tmp_path / "nmr.pdb", _as_models(helix_lines(), helix_lines(positions=other)))
        assert holds_several_models(path, unless_assembly=True)
        notes = []
        assert len(read_structure(path, notes=notes)) == HELIX_ATOMS
        assert notes == ["nmr.pdb: the first of its 2 models is used."]
        assert len(read_structure(path, model="all")) == 2 * HELIX_ATOMS


def test_models_that_end_ends(tmp_path):
    """VMD separates frames by END."""
    path = write_pdb(tmp_path / "vmd.pdb", [*helix_lines(), "END", *helix_lines((0.3, 0, 0))])
    assert holds_several_models(path, unless_assembly=True)
    assert len(read_structure(path)) == HELIX_ATOMS
    assert not holds_several_models(write_pdb(tmp_path / "one.pdb", helix_lines()))


def test_a_last_model_without_end_is_told(tmp_path):
    (tmp_path / "cut.pdb").write_text("\n".join(["MODEL        1", *helix_lines()]))
    with pytest.raises(FormatError, match=r"cut\.pdb.*last model has no end"):
        read_structure(tmp_path / "cut.pdb")


def test_atoms_of_occupancy_zero_are_imaged(tmp_path):
    lines = helix_lines()
    lines[0] = lines[0][:54] + "  0.00" + lines[0][60:]
    notes = []
    assert count(write_pdb(tmp_path / "in.pdb", lines), notes=notes)[0] == HELIX_ATOMS
    assert notes == ["in.pdb: 1 atoms have occupancy 0 and are imaged like the others."]
    # A program of molecular dynamics wrote 0 for all: nothing to note.
    notes = []
    assert count(write_pdb(tmp_path / "md.pdb", helix_lines(occupancy=0.0)), notes=notes)[0] == HELIX_ATOMS
    assert notes == []


def test_truncated_utf_16_is_named(tmp_path):
    path = tmp_path / "half.pdb"
    path.write_bytes(b"\xff\xfeA\x00B")
    with pytest.raises(FormatError, match=r"half\.pdb begins with the mark of UTF-16"):
        read_structure(path)
