"""A row belongs to the particle, or the state, that its table says; an unknown key is refused, not passed over."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import starfile

from cryobench import adopt
from cryobench._errors import FormatError
from cryobench.io.adoption.labels import read_labels
from cryobench.recipes.states.variables_file import read_variables
from foreign import cs_columns, make_particles, save_cs, write_stack, write_table

N = 6
STATES = np.array([3, 0, 1, 1, 2, 0])
ORDER = np.array([4, 0, 5, 2, 1, 3])


def write_csv(path: Path, name: str, keys: object) -> Path:
    lines = [f"{name},state", *(f"{key},{state}" for key, state in zip(keys, STATES[ORDER], strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Unnamed: 0",
        "idx",
        "index",
        "Particle",
        "particle_index",
        "id",
        "particle_id",
        "uid",
        "image",
        "rlnImageName",
    ],
)
def test_columns_of_indices_are_followed(tmp_path: Path, name: str) -> None:
    particles = make_particles(tmp_path)
    np.testing.assert_array_equal(read_labels(write_csv(tmp_path / "l.csv", name, ORDER), particles), STATES)


@pytest.mark.parametrize("name", ["image", "rlnImageName", "", "particle"])
def test_names_of_images_are_followed(tmp_path: Path, name: str) -> None:
    keys = [f"{i + 1:06d}@particles.mrcs" for i in ORDER]
    particles = make_particles(tmp_path)
    np.testing.assert_array_equal(read_labels(write_csv(tmp_path / "l.csv", name, keys), particles), STATES)


def test_uids_of_a_cs_file_are_followed(tmp_path: Path) -> None:
    columns = cs_columns(N)
    write_stack(tmp_path / "particles.mrcs", np.random.default_rng(0).normal(size=(N, 8, 8)))
    table = save_cs(tmp_path / "p.cs", columns)
    labels = write_csv(tmp_path / "l.csv", "uid", columns["uid"][ORDER])
    truth = adopt(table, tmp_path / "mine", labels=labels).truth
    assert truth is not None
    np.testing.assert_array_equal(truth.states, STATES)
    pd.DataFrame({"uid": columns["uid"][ORDER], "state": STATES[ORDER]}).to_parquet(tmp_path / "l.parquet")
    truth = adopt(table, tmp_path / "other", labels=tmp_path / "l.parquet").truth
    assert truth is not None
    np.testing.assert_array_equal(truth.states, STATES)


@pytest.mark.parametrize("form", ["index", "named", "reversed", "column"])
def test_the_index_of_a_data_frame_is_followed(tmp_path: Path, form: str) -> None:
    frame = pd.DataFrame({"state": STATES})
    frame = frame.iloc[::-1] if form == "reversed" else frame.iloc[ORDER]
    if form == "named":
        frame = frame.rename_axis("particle")
    if form == "column":
        frame = frame.assign(particle=ORDER).reset_index(drop=True)
    frame.to_parquet(tmp_path / "l.parquet")
    np.testing.assert_array_equal(read_labels(tmp_path / "l.parquet", make_particles(tmp_path)), STATES)


def test_a_count_of_the_rows_gives_way_to_a_column_that_says_more(tmp_path: Path) -> None:
    frame = pd.DataFrame({"image": [f"{i + 1}@particles.mrcs" for i in ORDER], "state": STATES[ORDER]})
    frame.to_csv(tmp_path / "l.csv")
    np.testing.assert_array_equal(read_labels(tmp_path / "l.csv", make_particles(tmp_path)), STATES)
    frame[:2].to_csv(tmp_path / "part.csv")
    found = read_labels(tmp_path / "part.csv", make_particles(tmp_path))
    np.testing.assert_array_equal(found, np.where(np.isin(np.arange(N), ORDER[:2]), STATES, -1))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_count_of_the_rows_does_not_say_which_particles_are_missing(tmp_path: Path, suffix: str) -> None:
    particles, frame = make_particles(tmp_path), pd.DataFrame({"state": STATES})
    for some in (frame, frame[2:].reset_index(drop=True)):
        some.to_csv(tmp_path / "l.csv")
        some.to_parquet(tmp_path / "l.parquet")
        if len(some) == N:
            np.testing.assert_array_equal(read_labels(tmp_path / f"l.{suffix}", particles), STATES)
        else:
            with pytest.raises(FormatError, match=r"labels 4 particles .*, but there are 6"):
                read_labels(tmp_path / f"l.{suffix}", particles)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,state\n7,0\n8,1\n9,0\n10,0\n11,0\n12,0\n", "column 'id' should identify the particle of each row"),
        ("uid,state\na,0\nb,1\nc,0\nd,0\ne,0\nf,0\n", "column 'uid' should identify .* such as 'a', are unknown"),
        ("image,state\na.mrc,0\nb.mrc,1\nc,0\nd,0\ne,0\nf,0\n", "column 'image' should identify .* such as 'a.mrc'"),
        ("idx,state\n1,0\n2,1\n3,0\n4,0\n5,0\n6,0\n", "labels particle 6, but .* 0 to 5. Rename the column 'idx'"),
        ("idx,state\n0,0\n1.5,1\n", "column 'idx' must hold the index .* found '1.5'"),
        ("idx,index,state\n0,0,0\n1,2,0\n", "columns 'idx' and 'index' contradict each other"),
        ("image,state\n1@other.mrcs,0\n", "names none of the images of the particles"),
        ("image,state\n0@particles.mrcs,0\n", "row 1 names the image '0@particles.mrcs', expected INDEX@STACK"),
        (
            "image,state\n1@particles.mrcs,0\n1@particles.mrcs,1\n",
            "names the image '1@particles.mrcs' more than once",
        ),
        ("particle,state\n", r"labels 0 particles \(shape \(0,\)\), but there are 6"),
        ("state,particle\n0,1\n0,1,2\n", "row 3 is '0,1,2', 3 fields where the first row"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(FormatError, match=message):
        read_labels(tmp_path / "l.csv", make_particles(tmp_path))


def test_star_labels_tell_stacks_of_one_name_apart(tmp_path: Path) -> None:
    table = write_table(tmp_path, stacks=("job010/mic1.mrcs", "job020/mic1.mrcs"))
    names = starfile.read(table)["particles"]["rlnImageName"]
    particles = make_particles(tmp_path, stacks=("job010/mic1.mrcs", "job020/mic1.mrcs"))
    order = np.r_[3:6, 0:3]
    classes = pd.DataFrame({"rlnImageName": names[order].to_numpy(), "rlnClassNumber": STATES[order] + 1})
    starfile.write({"particles": classes}, tmp_path / "l.star")
    np.testing.assert_array_equal(read_labels(tmp_path / "l.star", particles), STATES)
    classes["rlnImageName"] = [name.replace("job010/", "") for name in classes["rlnImageName"]]
    starfile.write({"particles": classes}, tmp_path / "bare.star")
    with pytest.raises(FormatError, match=r"names the stack mic1.mrcs, which could be .*job010.* or .*job020"):
        read_labels(tmp_path / "bare.star", particles)
    classes["rlnImageName"] = [name.replace("job020/", "job030/job010/") for name in names[order]]
    starfile.write({"particles": classes}, tmp_path / "merged.star")
    with pytest.raises(FormatError, match="which would both be"):
        read_labels(tmp_path / "merged.star", particles)


def test_labels_too_large_to_be_exact_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "l.npy", np.full(N, 2**63, dtype=np.uint64))
    with pytest.raises(FormatError, match="the state of particle 0 is"):
        read_labels(tmp_path / "l.npy", make_particles(tmp_path))


# Collective variables have a row per state


@pytest.mark.parametrize("text", ["distance [Å]\n10.5\n20.25\n30\n", ",distance [Å]\r2,30\r0,10.5\r1,20.25\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_variables_belong_to_their_states(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "v.csv").write_text(text, encoding=encoding)
    found = read_variables(tmp_path / "v.csv", 3)
    assert {name: (variable.values.tolist(), variable.unit) for name, variable in found.items()} == {
        "distance": ([10.5, 20.25, 30.0], "Å")
    }


@pytest.mark.parametrize("key", ["state", "frame", "index", None])
def test_variables_follow_a_stored_index(tmp_path: Path, key: str | None) -> None:
    frame = pd.DataFrame({"a": [10.5, 20.25, 30.0]}).iloc[[2, 0, 1]].rename_axis(key)
    frame.to_parquet(tmp_path / "v.parquet")
    frame.to_csv(tmp_path / "v.csv")
    for name in ("v.parquet", "v.csv"):
        found = read_variables(tmp_path / name, 3)
        assert {name: variable.values.tolist() for name, variable in found.items()} == {"a": [10.5, 20.25, 30.0]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("distance [Å]\n10,5\n20,25\n30,0\n", "row 2 is '10,5', 2 fields where .* write decimals with a point"),
        ("a\n10.5,0\n20.25,0\n30,0\n", "row 2 is '10.5,0', 2 fields where the first row, 'a', has 1"),
        ("a,b\n1\n2\n3\n", "row 2 is '1', 1 fields where the first row"),
        ("1\n2\n3\n", "begins with numbers, '1', expected a header"),
        ("frame,a\n10,1\n20,2\n30,3\n", "labels state 10, but there are states 0 to 2. Rename the column 'frame'"),
    ],
)
def test_variables_that_do_not_fit_their_header(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "v.csv").write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=message):
        read_variables(tmp_path / "v.csv", 3)
