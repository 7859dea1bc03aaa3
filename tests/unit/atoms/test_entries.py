"""Entries in the package: the files are those described, and what is said of them is what they hold."""

import gzip
import hashlib
import re
from dataclasses import fields

import gemmi
import pytest

from cryobench._errors import UnknownName
from cryobench.atoms.entries import Entry, find_entry, list_entries

ALL = pytest.mark.parametrize("entry", list_entries(), ids=lambda entry: entry.name)


def _read(entry):
    return gemmi.read_pdb_string(gzip.decompress(entry.path.read_bytes()).decode())


@ALL
def test_the_file_is_the_one_described(entry):
    """Golden: another file is another data set. Raise the version of the recipes that read it."""
    assert hashlib.sha256(entry.path.read_bytes()).hexdigest() == entry.sha256
    assert all(getattr(entry, field.name) for field in fields(Entry))
    assert entry.name in entry.origin
    assert entry.citation in entry.origin
    assert entry.licence == "CC0 1.0"


@ALL
def test_residues_said_to_be_missing_are_missing(entry):
    """And they are all that a chain lacks: those of the header (1HZH), or within its ends, where the numbers have no
    gaps of their own (6VXX).
    """
    chains = {chain.name: {residue.seqid.num for residue in chain} for chain in _read(entry)[0]}
    words = re.sub(r"before \d+ and after \d+", "", entry.not_modelled)
    spans = re.findall(r"(\d+)(?:-| to )?(\d+)?", words)
    missing = {number for low, high in spans for number in range(int(low), int(high or low) + 1)}
    for name in "K" if entry.name == "1HZH" else "ABC":
        assert not missing & chains[name]
    if entry.name == "1HZH":
        text = gzip.decompress(entry.path.read_bytes()).decode()
        stated = re.findall(r"^REMARK 465 +[A-Z]{3} ([A-Z]) +(\d+) *$", text, flags=re.MULTILINE)
        assert {("K", str(number)) for number in missing} == set(stated)
    if entry.name == "6VXX":
        for numbers in chains.values():
            assert set(range(27, 1148)) - numbers == missing
            assert (min(numbers), max(numbers)) == (27, 1147)


def test_what_is_said_of_1hzh_stands_in_its_header():
    entry = find_entry("1hzh")
    structure = _read(entry)
    text = gzip.decompress(entry.path.read_bytes()).decode()
    assert structure.info["_entry.id"] == entry.name
    assert structure.resolution == entry.resolution
    assert structure.info["_struct.title"].lower() == entry.title.lower()
    assert structure.info["_exptl.method"].lower() == entry.method.lower()
    assert structure.info["_pdbx_database_status.recvd_initial_deposition_date"] == entry.deposited
    assert entry.citation.rpartition("doi:")[2].upper() in text


def test_6vxx_is_protein_alone():
    names = {residue.name for chain in _read(find_entry("6VXX"))[0] for residue in chain}
    assert len(names) == 20
    assert all(gemmi.find_tabulated_residue(name).is_amino_acid() for name in names)


def test_an_entry_that_is_not_here_is_named():
    with pytest.raises(UnknownName, match=r"no entry of the wwPDB in this package named '4HHB'.*1HZH, 6VXX"):
        find_entry("4HHB")
