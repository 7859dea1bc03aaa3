"""True CTFs, from a parametric distribution or an experimental table, and the inexact ones given to methods.

The published sets draw from the table of one experiment (EMPIAR-11247). The built-in distribution needs no download
and covers a similar range: mean defocus normal, 14,000 ± 4,000 Å, redrawn outside 5,000 to 25,000 Å; |U − V|
half-normal of mean 400 Å; its direction uniform; 300 kV, 2.7 mm, amplitude contrast 0.1 and B factor 100 Å² for all.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Int

from cryobench.imaging.ctf import Ctf
from cryobench.io.digest import stamp_file
from cryobench.io.programs.ctf_table import read_ctf_table
from cryobench.recipes.settings import SimulationSettings
from cryobench.rng import IndexedStream, stream


def draw_ctf(settings: SimulationSettings, seed: int, particles: Sequence[int] | Int[np.ndarray, "n"]) -> Ctf:
    """True CTF parameters of these particles, from the distribution or the table, with their B factors.

    Raises
    ------
    ValueError
        If the limits exclude (nearly) all of the normal distribution, or the table has too few rows.
    """
    if settings.ctf_table is None:
        drawn = _draw_from_law(settings, seed, particles)
    else:
        drawn = _draw_from_table(settings.ctf_table, settings, seed, np.asarray(particles))
    if settings.b_factor_deviation == 0:
        return drawn
    streams = IndexedStream(seed, "B factors")
    normal = np.array([streams.at(int(particle)).standard_normal() for particle in particles])
    return replace(drawn, b_factor=np.maximum(0.0, settings.b_factor + settings.b_factor_deviation * normal))


def draw_given_ctf(settings: SimulationSettings, seed: int, particles: Sequence[int] | Int[np.ndarray, "n"]) -> Ctf:
    """CTF parameters as given to methods: one normal error for both defoci, another for their angle."""
    true = draw_ctf(settings, seed, particles)
    if settings.defocus_error == 0 and settings.astigmatism_angle_error_deg == 0:
        return true
    streams = IndexedStream(seed, "CTF errors")
    errors = np.array([streams.at(int(particle)).standard_normal(2) for particle in particles]).reshape(-1, 2)
    defocus = settings.defocus_error * errors[:, 0]
    return replace(
        true,
        defocus_u=true.defocus_u + defocus,
        defocus_v=true.defocus_v + defocus,
        defocus_angle=true.defocus_angle + np.deg2rad(settings.astigmatism_angle_error_deg) * errors[:, 1],
    )


def check_ctf_table(settings: SimulationSettings, n_particles: int) -> None:
    """Raise ValueError if the table has fewer rows than are needed."""
    if settings.ctf_table is None or settings.ctf_table_reuse:
        return
    rows = len(_read(settings.ctf_table))
    if rows < n_particles:
        raise ValueError(
            f"{settings.ctf_table} has the CTFs of {rows:,} particles, but {n_particles:,} are drawn without "
            "replacement. Give a longer table, make fewer images, or set ctf_table_reuse to reuse its rows."
        )


def _draw_from_law(settings: SimulationSettings, seed: int, particles: Sequence[int] | Int[np.ndarray, "n"]) -> Ctf:
    low, high = settings.defocus_min, settings.defocus_max
    defocus = np.empty(len(particles))
    difference = np.empty(len(particles))
    angle = np.empty(len(particles))
    streams = IndexedStream(seed, "ctf")
    for row, particle in enumerate(particles):
        generator = streams.at(int(particle))
        angle[row] = generator.uniform(0, np.pi)
        difference[row] = abs(generator.standard_normal()) * settings.astigmatism * np.sqrt(np.pi / 2)
        for _ in range(1000):
            defocus[row] = settings.defocus_mean + settings.defocus_deviation * generator.standard_normal()
            if low <= defocus[row] <= high:
                break
        else:
            raise ValueError(
                f"no defocus of mean {settings.defocus_mean} Å and deviation {settings.defocus_deviation} Å falls "
                f"between defocus_min {low} and defocus_max {high} Å in 1000 tries: widen the limits."
            )
    return Ctf.from_columns(
        len(particles),
        defocus_u=defocus + difference / 2,
        defocus_v=defocus - difference / 2,
        defocus_angle=angle,
        voltage_kv=settings.voltage_kv,
        cs_mm=settings.cs_mm,
        amplitude_contrast=settings.amplitude_contrast,
        b_factor=settings.b_factor,
    )


def _draw_from_table(path: Path, settings: SimulationSettings, seed: int, particles: Int[np.ndarray, "n"]) -> Ctf:
    """Rows of the table, each once: particle i gets row p[i] of a permutation p, a new one for each pass."""
    table = _read(path)
    check_ctf_table(settings, int(particles.max(initial=0)) + 1)
    passes, positions = np.divmod(particles, len(table))
    rows = np.empty(len(particles), dtype=np.int64)
    for each in np.unique(passes):
        chosen = passes == each
        rows[chosen] = _permutation(seed, int(each), len(table))[positions[chosen]]
    return replace(table[rows], b_factor=np.full(len(particles), settings.b_factor))


def _read(path: Path) -> Ctf:
    return _read_once(path, stamp_file(path))


@lru_cache(maxsize=4)
def _read_once(path: Path, _: tuple[int, int, int]) -> Ctf:
    """CTFs of a table with this stamp."""
    return read_ctf_table(path)


@lru_cache(maxsize=4)
def _permutation(seed: int, index: int, length: int) -> Int[np.ndarray, "m"]:
    return stream(seed, "CTF table", index).permutation(length)
