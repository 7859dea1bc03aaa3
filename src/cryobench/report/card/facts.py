"""Facts about a data set, as text and numbers: for its card page, and for ``cryobench show``.

From tables and card alone: no image or volume is read, so 100,000 states are described as fast as ten.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cryobench.compute import format_bytes
from cryobench.data import Dataset, GroundTruth, Particles
from cryobench.imaging.ctf import Ctf
from cryobench.recipes.draws import Junk
from cryobench.report.card.command import find_recipe
from cryobench.report.card.state_list import JUNK, collective_axes

MOST_VARIABLES = 8
_MOST_NAMES = 12
"""Collective variables described one by one; only the names of any others are given."""
Facts = list[tuple[str, str]]
"""Names and texts, one line each."""


def describe_dataset(dataset: Dataset) -> dict[str, Facts]:
    """Summary of a data set: title of each group to its facts."""
    groups = {
        "Overview": _origin(dataset),
        "Particles": _particles(dataset),
        "Contrast transfer": _contrast_transfer(dataset.particles.ctf) + _ctf_errors(dataset),
        "Signal and noise": describe_snr(dataset),
        "Truth": _truth(dataset),
        "Files": _files(dataset),
    }
    return {title: facts for title, facts in groups.items() if facts}


def headline(dataset: Dataset) -> Facts:
    """The few facts shown under the title of a page."""
    particles, truth = dataset.particles, dataset.truth
    return [
        ("particles", f"{len(particles):,}"),
        ("box", f"{particles.box_size} px · {particles.box_size * particles.pixel_size:.0f} Å"),
        ("pixel", f"{particles.pixel_size:.4g} Å"),
        ("states", "not known" if truth is None else f"{truth.n_states:,}"),
        ("query particles", f"{len(dataset.queries):,}"),
        ("poses", "withheld from methods" if particles.rotations is None else "given to methods"),
    ]


def describe_contrast(particles: Particles) -> str:
    """Contrast of protein against the background in the stored images: "bright" or "dark"."""
    return "bright" if particles.sign == -1 else "dark"


def describe_snr(dataset: Dataset) -> Facts:
    """Signal-to-noise ratio by both definitions, as recorded on the card."""
    snr = dataset.card.get("snr")
    if isinstance(snr, (int, float)):
        return [("SNR", f"{snr:.4g}")]
    if not isinstance(snr, dict):
        return [("SNR", "not recorded")]
    words = {"all_pixels": "SNR over all pixels", "inside_disc": "SNR inside the molecule's disc"}
    facts = [(words[key], f"{snr[key]:.4g}") for key in words if snr.get(key) is not None]
    if snr.get("asked") is not None:
        pixel_size = snr.get("asked_at_pixel_size")
        facts.append(
            ("requested SNR", f"{snr['asked']:.4g}" + (f" at {pixel_size:.4g} Å per pixel" if pixel_size else ""))
        )
    known = (*words, "asked", "asked_at_pixel_size")
    return facts + [(f"SNR, {key.replace('_', ' ')}", str(value)) for key, value in snr.items() if key not in known]


def _origin(dataset: Dataset) -> Facts:
    card = dataset.card
    plan = card.get("plan") or {}
    facts = [(words, str(card[key])) for key, words in _ORIGIN.items() if card.get(key)]
    recipe = plan.get("recipe") or card.get("recipe")
    if recipe:
        preset = f", preset {plan['preset']}" if plan.get("preset") else ""
        facts.append(("recipe", f"{recipe}{_recipe_version(plan)}{preset}"))
    seed = plan.get("seed", card.get("seed"))
    if seed is not None:
        facts.append(("seed", str(seed)))
    structures = [str(entry.get("name", entry)) for entry in plan.get("structures") or []]
    if structures:
        facts.append(("structures", shorten_list(structures)))
    made_by = plan.get("cryobench") or card.get("version")
    if made_by:
        facts.append(("made by", f"cryobench {made_by}"))
    return facts + [("note", str(note)) for note in card.get("notes") or []]


def _recipe_version(plan: Mapping[str, Any]) -> str:
    """Version of the recipe that made the data set, and that of this package if it differs."""
    made_by = plan.get("recipe_version")
    if made_by is None:
        return ""
    here = find_recipe(plan)
    if here is None or here.version == made_by:
        return f", version {made_by}"
    return f", version {made_by} (this cryobench has version {here.version}, which makes different particles)"


_ORIGIN = {
    "title": "title",
    "description": "description",
    "heterogeneity": "heterogeneity",
    "citation": "cite",
    "sources": "sources and licence",
    "doi": "DOI",
    "url": "address",
    "images": "folder of the images",
}


def _particles(dataset: Dataset) -> Facts:
    particles = dataset.particles
    facts = [
        ("particles", f"{len(particles):,}"),
        ("box", f"{particles.box_size} px ({particles.box_size * particles.pixel_size:.4g} Å)"),
        ("pixel size", f"{particles.pixel_size:.4g} Å"),
        ("protein in stored images", describe_contrast(particles)),
        ("poses", _poses(dataset)),
        ("query particles", f"{len(dataset.queries):,}"),
    ]
    mask = particles.mask
    if mask is not None:
        volume = float(mask.sum(dtype=np.float64)) * particles.pixel_size**3 / 1000
        facts.append(("mask", f"{volume:,.4g} nm³, {mask.mean(dtype=np.float64):.2%} of the box"))
    shifts = particles.shifts if particles.shifts is not None else _true_shifts(dataset)
    if shifts is not None and len(shifts):
        facts.append(("shifts", f"up to {np.abs(shifts).max():.3g} Å along x or y"))
    return facts


def _true_shifts(dataset: Dataset) -> np.ndarray | None:
    return None if dataset.truth is None else dataset.truth.shifts


def _poses(dataset: Dataset) -> str:
    particles, truth = dataset.particles, dataset.truth
    if particles.rotations is None or particles.shifts is None:
        return "withheld from methods"
    if truth is None or truth.rotations is None or truth.shifts is None:
        return "given to methods"
    angle, distance = pose_errors(particles.rotations, truth.rotations, particles.shifts, truth.shifts)
    if angle < 0.01 and distance < 0.001 * particles.pixel_size:
        return "given to methods without errors"
    return f"given to methods with errors: {angle:.3g}° and {distance:.3g} Å (root mean square)"


def pose_errors(
    given: np.ndarray, true: np.ndarray, given_shifts: np.ndarray, true_shifts: np.ndarray
) -> tuple[float, float]:
    """Root mean square angle (°) between rotations (n, 3, 3) and distance (Å) between shifts (n, 2)."""
    # |R − S|² = 8 sin²(angle / 2) stays exact for small angles, where the trace does not.
    chord = np.sqrt(np.square(given.astype(np.float64) - true).sum(axis=(1, 2)) / 8)
    angles = 2 * np.arcsin(np.clip(chord, 0, 1))
    distances = np.linalg.norm(given_shifts.astype(np.float64) - true_shifts, axis=1)
    return _rms(np.rad2deg(angles)), _rms(distances)


def _contrast_transfer(ctf: Ctf) -> Facts:
    defocus = (ctf.defocus_u + ctf.defocus_v) / 2e4
    astigmatism = np.abs(ctf.defocus_u - ctf.defocus_v) / 10
    facts = [
        ("defocus", f"{spread(defocus, 'µm')}, mean {defocus.mean():.3g}, standard deviation {defocus.std():.2g}"),
        ("astigmatism", f"{spread(astigmatism, 'nm')}, mean {astigmatism.mean():.3g}"),
        ("voltage", spread(ctf.voltage_kv, "kV")),
        ("spherical aberration", spread(ctf.cs_mm, "mm")),
        ("amplitude contrast", spread(ctf.amplitude_contrast, "")),
        ("B factor", spread(ctf.b_factor, "Å²")),
    ]
    if ctf.phase_shift.any():
        facts.append(("phase shift", spread(np.rad2deg(ctf.phase_shift), "°")))
    return facts


def _ctf_errors(dataset: Dataset) -> Facts:
    """Errors of the CTFs given to methods; empty where these are the true ones."""
    given, true = dataset.particles.ctf, None if dataset.truth is None else dataset.truth.ctf
    if true is None:
        return []
    defocus = (given.defocus_u + given.defocus_v - true.defocus_u - true.defocus_v) / 20
    angle = np.mod(given.defocus_angle - true.defocus_angle + np.pi / 2, np.pi) - np.pi / 2
    words = f"defocus {_rms(defocus):.3g} nm, astigmatism angle {_rms(np.rad2deg(angle)):.3g}° (root mean square)"
    return [("given to methods with errors", words)]


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))


def spread(values: np.ndarray, unit: str) -> str:
    """Range of the finite values with their unit, or the single value if all are equal."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return "not known"
    low, high = (f"{float(value):.3g}" for value in (finite.min(), finite.max()))
    joint = "" if unit == "°" else "\u00a0"
    text = low if low == high else f"{low} to {high}"
    return f"{text}{joint}{unit}" if unit else text


def _truth(dataset: Dataset) -> Facts:
    truth = dataset.truth
    if truth is None:
        return [("truth", "none: methods can run, but there is nothing to score them against")]
    unknown = int((truth.states < 0).sum())
    facts = [("states", _states(truth))]
    if unknown:
        facts.append(("particles without a state", f"{unknown:,} ({unknown / max(len(truth), 1):.1%})"))
    if JUNK in truth.variables:
        kinds = {Junk.NOISE: "noise only", Junk.WRONG: "another molecule", Junk.PAIR: "two particles"}
        shares = {words: (truth.variables[JUNK].values == kind).mean() for kind, words in kinds.items()}
        facts.append(("junk", ", ".join(f"{words} {share:.1%}" for words, share in shares.items())))
    facts.append(("true volumes", "none" if truth.volumes is None else f"{len(truth.volumes):,}, one per state"))
    facts.append(("true poses", "not known" if truth.rotations is None else "known"))
    if truth.embedding is not None:
        facts.append(("embedding", f"{truth.embedding.shape[1]} dimensions"))
    axes = collective_axes(truth)
    for axis in axes[:MOST_VARIABLES]:
        unit = axis.unit if axis.unit == "°" else f" {axis.unit}"
        circle = "" if axis.period is None else f", on a circle of {axis.period:.4g}{unit}"
        facts.append((f"variable {axis.name}", spread(axis.values, axis.unit) + circle))
    others = [axis.name for axis in axes[MOST_VARIABLES:]]
    if others:
        facts.append((f"{len(others)} more variables", shorten_list(others)))
    if truth.components is not None:
        names = shorten_list(list(truth.components.names))
        facts.append(("components", f"{len(truth.components.names)}: {names}"))
        facts.append(("steps of the assembly graph", f"{len(truth.components.edges):,}"))
    return facts


def _states(truth: GroundTruth) -> str:
    counts = np.bincount(truth.states[truth.states >= 0], minlength=truth.n_states)
    if not len(counts):
        return "0"
    low, high = int(counts.min()), int(counts.max())
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"{truth.n_states:,}, of {each} particle{'' if high == 1 else 's'} each"


def _files(dataset: Dataset) -> Facts:
    facts: Facts = []
    kinds: dict[str, list[int]] = {}
    for kind, size in _file_sizes(dataset):
        kinds.setdefault(kind, []).append(size)
    for kind, sizes in kinds.items():
        facts.append((kind, f"{format_bytes(sum(sizes))} in {len(sizes):,} file{'' if len(sizes) == 1 else 's'}"))
    if dataset.path is not None:
        facts.append(("folder", str(dataset.path)))
    name = dataset.card.get("sha256")
    if isinstance(name, str):
        facts.append(("SHA-256", name))
    return facts


def _file_sizes(dataset: Dataset) -> Iterator[tuple[str, int]]:
    """Kind and size in bytes of every file: those on the card, and stacks outside the folder."""
    listed = dataset.card.get("files")
    listed = listed if isinstance(listed, dict) else {}
    folder = dataset.path
    inside = set()
    for name, content in listed.items():
        kind = "truth" if name.startswith("truth/") else "images" if name.endswith((".mrcs", ".mrc")) else "tables"
        kind = "tables" if name == "mask.mrc" else kind
        if isinstance(content, dict) and isinstance(content.get("bytes"), int):
            yield kind, content["bytes"]
        if folder is not None:
            inside.add((folder / name).resolve())
    for path in getattr(dataset.particles.images, "paths", ()):
        path = Path(path)
        if path.resolve() not in inside and path.is_file():
            yield ("images, outside the folder" if listed else "images"), path.stat().st_size
            inside.add(path.resolve())
    if not listed and folder is not None:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.resolve() not in inside:
                yield "other files", path.stat().st_size


def shorten_list(names: list[str]) -> str:
    """Comma-separated names; beyond ``_MOST_NAMES``, only their total number is given."""
    if len(names) <= _MOST_NAMES:
        return ", ".join(names)
    return f"{', '.join(names[:_MOST_NAMES])} … ({len(names):,} in all)"
