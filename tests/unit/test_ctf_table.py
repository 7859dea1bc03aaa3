"""A CTF table reads the same whichever program wrote it, without its images, and as it is now."""

import dataclasses

import numpy as np
import pytest

from cryobench._errors import FormatError
from cryobench.data import Particles
from cryobench.imaging.ctf import Ctf
from cryobench.io.formats.mrc import MrcStacks, begin_stack
from cryobench.io.programs.cryodrgn import write_ctf
from cryobench.io.programs.cryosparc import write_cs
from cryobench.io.programs.ctf_table import read_ctf_table
from cryobench.io.programs.relion import write_star
from cryobench.recipes.draws import draw_ctf
from cryobench.recipes.imaging.noise import noise_power
from cryobench.recipes.settings import SimulationSettings

N, SIZE = 7, 12


@pytest.fixture
def particles(tmp_path, rng):
    with begin_stack(tmp_path / "stack.mrcs", N, SIZE, 2.0) as stack:
        stack.append(rng.normal(size=(N, SIZE, SIZE)).astype(np.float32))
    ctf = Ctf.from_columns(
        N,
        defocus_u=rng.uniform(1e4, 2e4, N),
        defocus_v=rng.uniform(1e4, 2e4, N),
        defocus_angle=rng.uniform(0, np.pi, N),
        voltage_kv=200.0,
        cs_mm=1.4,
        amplitude_contrast=0.07,
        phase_shift=0.3,
    )
    return Particles(MrcStacks([tmp_path / "stack.mrcs"]), 2.0, ctf, sign=-1)


@pytest.mark.parametrize("suffix", [".star", ".pkl", ".cs"])
def test_every_format_gives_the_same_parameters(particles, tmp_path, suffix):
    path = tmp_path / f"table{suffix}"
    if suffix == ".pkl":
        write_ctf(path, particles.ctf, box_size=SIZE, pixel_size=2.0)
    else:
        {".star": write_star, ".cs": write_cs}[suffix](path, particles)
    (tmp_path / "stack.mrcs").unlink()
    found = read_ctf_table(path)
    for field in dataclasses.fields(Ctf):
        np.testing.assert_allclose(
            getattr(found, field.name), getattr(particles.ctf, field.name), rtol=2e-7, err_msg=field.name
        )


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FormatError, match=r"table\.csv is not a CTF table: expected \.pkl"):
        read_ctf_table(tmp_path / "table.csv")


@pytest.mark.parametrize("suffix", [".star", ".pkl", ".cs"])
def test_a_defocus_in_micrometres_is_refused(particles, tmp_path, suffix):
    path = tmp_path / f"table{suffix}"
    ctf = dataclasses.replace(particles.ctf, defocus_u=particles.ctf.defocus_u / 1e4, defocus_v=np.ones(N))
    particles = dataclasses.replace(particles, ctf=ctf)
    if suffix == ".pkl":
        write_ctf(path, ctf, box_size=SIZE, pixel_size=2.0)
    else:
        {".star": write_star, ".cs": write_cs}[suffix](path, particles)
    with pytest.raises(FormatError, match=r"table\.\w+: .*(U|df1_A).* is at most 1\.\d+, expected thousands of Å"):
        read_ctf_table(path)


def test_a_table_that_was_written_again_is_read_again(particles, tmp_path):
    """In one session, under the same name: the plan of a data set states the hash of the newer one."""
    path = tmp_path / "table.pkl"
    for scale in (1.0, 1.1):
        ctf = dataclasses.replace(particles.ctf, defocus_u=scale * particles.ctf.defocus_u)
        write_ctf(path, ctf, box_size=SIZE, pixel_size=2.0)
        drawn = draw_ctf(SimulationSettings(ctf_table=path), 0, np.arange(N))
        np.testing.assert_allclose(np.sort(drawn.defocus_u), np.sort(ctf.defocus_u), rtol=1e-6)


def test_a_spectrum_that_was_written_again_is_read_again(tmp_path):
    path = tmp_path / "noise.txt"
    for power in (1.0, 2.25):
        path.write_text(f"0 1\n0.1 {power}\n")
        settings = SimulationSettings(noise_spectrum=path)
        np.testing.assert_allclose(noise_power(settings, np.array([0.05, 0.2])), [(1 + power) / 2, power])
