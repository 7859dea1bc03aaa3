"""States of particles from files of every kind, and files that hold none."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import starfile

from adoptable import true_states
from cryobench._errors import FormatError
from cryobench.data import ArrayImages, Dataset, Particles
from cryobench.io.adoption.labels import read_labels
from cryobench.io.formats.pickles import write_pickle
from toy import toy_dataset


def labelled(n: int = 5) -> Particles:
    toy = toy_dataset(size=8, n=n, n_states=2, n_queries=1).particles
    return dataclasses.replace(toy, images=ArrayImages(np.zeros((n, 8, 8))), mask=None)


STATES_OF_FIVE = [2, 0, -1, 1, 10]


@pytest.mark.parametrize(
    "text",
    [
        "2\n0\n-1\n1\n10\n",
        "state\n2\n0\n-1\n1\n10\n",
        "\ufeffparticle,state\n4,10\n0,2\n1,0\n3,1\n",
        "4,10\n0,2\n\n1,0\n3,1.0\n",
        "name,Label,weight\na,2,1\nb,0,1\nc,-1,1\nd,1,1\ne,10,1\n",
    ],
)
def test_labels_from_csv(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.csv", labelled()), STATES_OF_FIVE)


def test_labels_from_arrays_and_tables(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array(STATES_OF_FIVE, dtype=np.float32)[:, None])
    write_pickle(tmp_path / "b.pkl", np.array(STATES_OF_FIVE))
    pd.DataFrame({"state": STATES_OF_FIVE}).to_parquet(tmp_path / "c.parquet")
    starfile.write({"particles": pd.DataFrame({"rlnClassNumber": [3, 1, 0, 2, 11]})}, tmp_path / "d.star")
    for name in ("a.npy", "b.pkl", "c.parquet", "d.star"):
        found = read_labels(tmp_path / name, labelled())
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, STATES_OF_FIVE, err_msg=name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0\n1\n", "labels 2 particles .*, but there are 5"),
        ("0\n1\n2\n3\n4\n5\n", "labels 6 particles .*, but there are 5"),
        ("", "is empty"),
        ("0\n1\n2\n3\n-2\n", "the state of particle 4 is -2, expected 0, 1, 2"),
        ("0\n1\n2\n3\n0.5\n", "the state of particle 4 is 0.5"),
        ("state\n0\n1\n2\n3\nx\n", "entry 6 is 'x'"),
        ("0,1\n0,2\n", "labels particle 0 more than once"),
        ("5,1\n0,2\n", "labels particle 5, but there are particles 0 to 4"),
        ("1,2,3\n", "3 columns and no header"),
        ("state,State\n1,2\n", "has two columns named 'state'"),
        ("particle,defocus\n1,2\n", "has the columns particle, defocus, expected one called state"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(FormatError, match=message):
        read_labels(tmp_path / "labels.csv", labelled())


def test_label_files_of_other_kinds(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("0")
    with pytest.raises(FormatError, match=r"expected .csv, .npy, .pkl, .parquet, .star, found '.txt'"):
        read_labels(tmp_path / "labels.txt", labelled())
    starfile.write({"particles": pd.DataFrame({"rlnDefocusU": [1, 2]})}, tmp_path / "x.star")
    with pytest.raises(FormatError, match="no column _rlnClassNumber"):
        read_labels(tmp_path / "x.star", labelled())
    np.save(tmp_path / "x.npy", np.zeros((5, 2)))
    with pytest.raises(FormatError, match=r"shape \(5, 2\)"):
        read_labels(tmp_path / "x.npy", labelled())


def test_a_pickle_of_labels_runs_nothing(tmp_path: Path) -> None:
    import pickle

    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    (tmp_path / "x.pkl").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(FormatError, match="refused"):
        read_labels(tmp_path / "x.pkl", labelled())
    assert not (tmp_path / "ran").exists()


def test_star_labels_follow_the_images_they_name(home: Path, original: Dataset, tmp_path: Path) -> None:
    table = starfile.read(home / "toy" / "particles.star", always_dict=True)
    table["particles"]["rlnClassNumber"] = true_states(original) + 1
    starfile.write(table, tmp_path / "classes.star")
    np.testing.assert_array_equal(read_labels(tmp_path / "classes.star", original.particles), true_states(original))
    table["particles"] = table["particles"].iloc[::-1]
    starfile.write(table, tmp_path / "turned.star")
    np.testing.assert_array_equal(read_labels(tmp_path / "turned.star", original.particles), true_states(original))
    table["particles"] = table["particles"].iloc[:40]
    starfile.write(table, tmp_path / "part.star")
    found = read_labels(tmp_path / "part.star", original.particles)
    np.testing.assert_array_equal(found[-40:], true_states(original)[-40:])
    assert (found[:-40] == -1).all()
