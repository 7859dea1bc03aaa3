"""The data set as tables: CTF, poses, states and the entries of its card.

Angles are in degrees and defocus in µm here, as shown on axes; all other units are those of the package.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from cryobench._sampling import spread_indices
from cryobench.data import Dataset
from cryobench.imaging.ctf import evaluate_ctf
from cryobench.rotations import euler_from_rotations

MOST_STATES = 200
"""Bars of the state histogram; more states than this are binned."""
MOST_POINTS = 4_000


def ctf_table(dataset: Dataset) -> pd.DataFrame:
    """One row per particle: defocus (mean of the two, µm), astigmatism (their difference, nm), angle (°)."""
    ctf = dataset.particles.ctf
    return pd.DataFrame(
        {
            "defocus": (ctf.defocus_u + ctf.defocus_v) / 2e4,
            "astigmatism": np.abs(ctf.defocus_u - ctf.defocus_v) / 10,
            "angle": np.rad2deg(ctf.defocus_angle),
        }
    )


def ctf_curve_table(dataset: Dataset) -> pd.DataFrame:
    """CTF along the x axis up to Nyquist of the particles of lowest, median and highest defocus.

    Columns: particle, defocus (µm), frequency (1/Å), value, envelope (of the B factor, 1 where there is none).
    """
    ctf = dataset.particles.ctf
    order = np.argsort(ctf.defocus_u + ctf.defocus_v, kind="stable")
    chosen = np.unique(order[[0, len(order) // 2, len(order) - 1]])
    frequency = np.linspace(0, 0.5 / dataset.particles.pixel_size, 400)
    grid = torch.as_tensor(np.stack([frequency, np.zeros_like(frequency)], axis=-1))
    values = evaluate_ctf(ctf[chosen], grid).numpy()
    parts = [
        pd.DataFrame(
            {
                "particle": int(particle),
                "defocus": float(ctf.defocus_u[particle] + ctf.defocus_v[particle]) / 2e4,
                "frequency": frequency,
                "value": values[row],
                "envelope": np.exp(-ctf.b_factor[particle] / 4 * frequency**2),
            }
        )
        for row, particle in enumerate(chosen)
    ]
    return pd.concat(parts, ignore_index=True).sort_values("defocus", kind="stable", ignore_index=True)


def known_rotations(dataset: Dataset) -> np.ndarray | None:
    """Rotations (n, 3, 3) given with the particles, or the true ones where they are withheld, or None."""
    if dataset.particles.rotations is not None:
        return dataset.particles.rotations
    return None if dataset.truth is None else dataset.truth.rotations


def direction_map(rotations: np.ndarray) -> pd.DataFrame:
    """Viewing directions counted in equal-area cells and drawn on a Mollweide map.

    The viewing direction is the third row of R: the beam in the frame of the reference. Cells are bands of equal
    cos θ cut into equal longitudes, about 20 particles each. Columns longitude and latitude (°) of the centre, count,
    and outline (p, 2), x in [−2, 2] and y in [−1, 1] (units of √2 R). ``attrs["expected"]`` is the count per cell
    under uniform directions.
    Source: the Mollweide projection, 2θ + sin 2θ = π sin(latitude), x = 2/π longitude cos θ, y = sin θ.
    """
    directions = np.asarray(rotations)[:, 2, :]
    bands = int(np.clip(round((len(directions) / 40) ** 0.5), 2, 18))
    columns = 2 * bands
    turns = np.arctan2(directions[:, 1], directions[:, 0]) / (2 * np.pi) + 0.5
    band = np.clip(((directions[:, 2] + 1) / 2 * bands).astype(int), 0, bands - 1)
    column = np.clip((turns * columns).astype(int), 0, columns - 1)
    counts = np.bincount(band * columns + column, minlength=bands * columns)
    sines, edges = np.linspace(-1, 1, bands + 1), np.linspace(-np.pi, np.pi, columns + 1)
    rows = [
        {
            "longitude": np.rad2deg(edges[at : at + 2].mean()),
            "latitude": np.rad2deg(np.arcsin(sines[of : of + 2].mean())),
            "count": counts[of * columns + at],
            "outline": _outline(sines[of], sines[of + 1], edges[at], edges[at + 1]),
        }
        for of in range(bands)
        for at in range(columns)
    ]
    table = pd.DataFrame(rows)
    table.attrs["expected"] = len(directions) / (bands * columns)
    return table


def _outline(bottom: float, top: float, left: float, right: float, points: int = 9) -> np.ndarray:
    """Closed outline (p, 2) on the map of a cell between sines of the latitude and longitudes (radian)."""
    fine = np.linspace(-np.pi / 2, np.pi / 2, 2001)
    first, last = np.interp([np.pi * bottom, np.pi * top], 2 * fine + np.sin(2 * fine), fine)
    up = np.linspace(first, last, points)
    there = np.stack([2 / np.pi * left * np.cos(up), np.sin(up)], axis=-1)
    back = np.stack([2 / np.pi * right * np.cos(up), np.sin(up)], axis=-1)[::-1]
    return np.concatenate([there, back, there[:1]])


def pose_table(dataset: Dataset) -> pd.DataFrame | None:
    """In-plane angle psi (°) and shift x, y (Å) of at most ``MOST_POINTS`` evenly spaced particles, or None."""
    rotations = known_rotations(dataset)
    shifts = dataset.particles.shifts
    if shifts is None and dataset.truth is not None:
        shifts = dataset.truth.shifts
    if rotations is None or shifts is None:
        return None
    shown = spread_indices(len(rotations), MOST_POINTS)
    psi = np.rad2deg(euler_from_rotations(rotations[shown])[:, 2])
    return pd.DataFrame(
        {"particle": shown, "psi": np.mod(psi + 180, 360) - 180, "x": shifts[shown, 0], "y": shifts[shown, 1]}
    )


def state_table(dataset: Dataset) -> pd.DataFrame | None:
    """Particles per state: columns state (centre of a bin if there are more than ``MOST_STATES``), particles.

    None if no state is known.
    """
    if dataset.truth is None or dataset.truth.n_states == 0:
        return None
    states = dataset.truth.states[dataset.truth.states >= 0]
    n_states = dataset.truth.n_states
    if n_states <= MOST_STATES:
        return pd.DataFrame({"state": np.arange(n_states), "particles": np.bincount(states, minlength=n_states)})
    counts, edges = np.histogram(states, bins=100, range=(0, n_states))
    return pd.DataFrame({"state": (edges[:-1] + edges[1:]) / 2, "particles": counts})


def flatten_entries(entries: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Entries of a card or a run record as (dotted name, text), nested ones flattened."""
    for name, value in entries.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from flatten_entries(value, f"{key}.")
        elif isinstance(value, float):
            yield key, f"{value:.6g}"
        elif isinstance(value, (list, tuple)) and len(value) > 3 and isinstance(value[0], Mapping):
            yield key, f"{len(value)} entries: {', '.join(map(str, value[0]))}"
        elif isinstance(value, (list, tuple)) and len(value) > 12:
            yield key, f"{', '.join(map(str, value[:6]))} … ({len(value)} in all)"
        elif isinstance(value, (list, tuple)):
            yield key, ", ".join(map(str, value)) or "none"
        else:
            yield key, "not recorded" if value is None else str(value)
