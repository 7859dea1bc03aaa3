"""Poses of a .cs file are found in whichever group they lie, or it is said where they may be."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryobench import adopt
from cryobench._errors import FormatError
from cryobench.io.programs.cryosparc import read_cs
from foreign import cs_columns, save_cs, write_stack

N = 6


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    write_stack(tmp_path / "particles.mrcs", rng.normal(size=(N, 8, 8)))
    return tmp_path


def poses(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rotations, their vectors in a file, and shifts in px of 2 Å."""
    rotations = Rotation.random(N, rng=rng).as_matrix()
    vectors = Rotation.from_matrix(rotations.swapaxes(1, 2)).as_rotvec()
    return rotations, vectors.astype("<f4"), rng.uniform(-3, 3, (N, 2)).astype("<f4")


def group(name: str, vectors: np.ndarray, shifts: np.ndarray, posterior: np.ndarray | None = None) -> dict:
    found = {f"{name}/pose": vectors, f"{name}/shift": shifts, f"{name}/psize_A": np.full(N, 2, "<f4")}
    return found if posterior is None else found | {f"{name}/class_posterior": posterior.astype("<f4")}


@pytest.mark.parametrize("prefix", ["alignments_class_", "alignments_class3D_", "alignments3D_multi"])
def test_poses_of_the_most_probable_class(folder: Path, rng: np.random.Generator, prefix: str) -> None:
    """Eleven classes, so that their numbers are not in the order of their names."""
    k = 11
    classes = np.arange(N) * 2 % k
    parts = [poses(rng) for _ in range(k)]
    posteriors = np.full((N, k), 0.01)
    posteriors[np.arange(N), classes] = 0.9
    if prefix == "alignments3D_multi":
        columns = group(prefix, np.stack([p[1] for p in parts], 1), np.stack([p[2] for p in parts], 1), posteriors)
        columns["alignments3D_multi/psize_A"] = np.full((N, k), 2, "<f4")
    else:
        columns = {}
        for i, (_, vectors, shifts) in enumerate(parts):
            columns |= group(f"{prefix}{i}", vectors, shifts, posteriors[:, i])
    dataset = adopt(save_cs(folder / "p.cs", cs_columns(N) | columns), folder / "mine")
    expected = np.stack([parts[c][0][i] for i, c in enumerate(classes)])
    shifts = np.stack([parts[c][2][i] for i, c in enumerate(classes)]) * 2.0
    assert dataset.particles.rotations is not None
    np.testing.assert_allclose(dataset.particles.rotations, expected, atol=1e-6)
    np.testing.assert_allclose(dataset.particles.shifts, shifts, atol=1e-5)
    assert "poses are those of each particle's most probable of 11 classes" in dataset.card["notes"][0]


def test_poses_that_a_job_wrote_come_before_those_it_passed_through(folder: Path, rng: np.random.Generator) -> None:
    rotations, vectors, shifts = poses(rng)
    _, old, _ = poses(rng)
    table = save_cs(folder / "p.cs", cs_columns(N) | group("alignments_class_0", vectors, shifts))
    passed = {"uid": cs_columns(N)["uid"]} | group("alignments3D", old, shifts)
    other = save_cs(folder / "passed.cs", {name: values[::-1] for name, values in passed.items()})
    np.testing.assert_allclose(read_cs(table, passthrough=other).rotations, rotations, atol=1e-6)
    table = save_cs(folder / "p.cs", cs_columns(N))
    found = read_cs(table, passthrough=other).rotations
    np.testing.assert_allclose(Rotation.from_matrix(found.swapaxes(1, 2)).as_rotvec(), old, atol=1e-6)


def test_files_without_poses_say_where_they_may_be(folder: Path) -> None:
    notes: list[str] = []
    assert read_cs(save_cs(folder / "p.cs", cs_columns(N)), notes=notes).rotations is None
    flat = {"alignments2D/pose": np.zeros(N, "<f4"), "alignments2D/shift": np.zeros((N, 2), "<f4")}
    assert read_cs(save_cs(folder / "p.cs", cs_columns(N) | flat), notes=notes).rotations is None
    assert (
        "p.cs has no poses (alignments3D): they may be in the job's passthrough file, see --passthrough" in notes[0]
    )
    assert "p.cs has only in-plane angles (alignments2D)" in notes[1]


def test_classes_without_posteriors_are_refused(folder: Path, rng: np.random.Generator) -> None:
    columns = cs_columns(N)
    for i in range(2):
        _, vectors, shifts = poses(rng)
        columns |= group(f"alignments_class_{i}", vectors, shifts)
    with pytest.raises(
        FormatError, match="has poses in alignments_class_0, alignments_class_1, but no class_posterior"
    ):
        read_cs(save_cs(folder / "p.cs", columns))
