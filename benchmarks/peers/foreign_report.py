"""Comparison of a foreign program's input and reconstruction with the expected ones: differences, FSC, tables.

FSC is computed in plain NumPy, independent of the package's own.
"""

from pathlib import Path

import numpy as np
import torch

from cryobench.data import Dataset
from cryobench.imaging.ctf import Ctf, evaluate_ctf
from cryobench.io.formats.mrc import read_volume

THRESHOLD = 0.9
"""Least FSC with the truth up to a third of Nyquist."""
LIMITS = {"rotation": 1e-6, "shift, Å": 1e-4, "CTF parameter": 1e-6, "image": 1e-6, "CTF value": 1e-2}
"""Largest differences allowed. CTF values: the programs' electron wavelengths differ in the fifth digit."""


def fsc(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Fourier shell correlation (s,) of two volumes, shells one voxel wide up to Nyquist."""
    n = len(first)
    axis = np.fft.fftfreq(n, 1 / n)
    shells = np.rint(np.sqrt(sum(np.square(np.meshgrid(axis, axis, axis, indexing="ij"))))).astype(int).ravel()
    spectra = [np.fft.fftn(volume).ravel() for volume in (first, second)]
    cross = np.bincount(shells, (spectra[0] * spectra[1].conj()).real)
    power = [np.bincount(shells, np.abs(spectrum) ** 2) for spectrum in spectra]
    return (cross / np.sqrt(power[0] * power[1]))[: n // 2]


def magnify(volume: np.ndarray) -> np.ndarray:
    """A volume twice as large about its centre, cut to the same box."""
    n = len(volume)
    spectrum = np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(volume)))
    padded = np.pad(spectrum, n // 2)
    fine = np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(padded))).real
    return fine[(slice(n // 2, n // 2 + n),) * 3]


def compare_reading(dataset: Dataset, path: str, chosen: list[int], frequencies: np.ndarray) -> dict[str, float]:
    """Largest differences between what a program read and what we do."""
    particles, theirs = dataset.particles, np.load(path)
    ctf = particles.ctf
    ours = np.stack(
        [
            np.full(len(ctf), particles.pixel_size), ctf.defocus_u, ctf.defocus_v, np.rad2deg(ctf.defocus_angle),
            ctf.voltage_kv, ctf.cs_mm, ctf.amplitude_contrast, np.rad2deg(ctf.phase_shift),
        ],
        axis=1,
    )  # fmt: skip
    scale = np.maximum(np.abs(ours).max(axis=0), 1e-12)
    columns = {name: getattr(ctf, name)[chosen] for name in ctf.__dataclass_fields__}
    unenveloped = Ctf(**columns | {"b_factor": np.zeros(len(chosen))})
    values = evaluate_ctf(unenveloped, torch.from_numpy(frequencies)).numpy()
    images = particles.images.read(np.array(chosen))
    return {
        "rotation": np.abs(theirs["rotations"] - particles.rotations).max(),
        "shift, Å": np.abs(theirs["shifts_px"] * particles.pixel_size - particles.shifts).max(),
        "CTF parameter": (np.abs(theirs["ctf"] - ours) / scale).max(),
        "image": np.abs(theirs["images"] - images).max() / images.std(),
        "CTF value": np.abs(theirs["ctf_values"] - values).max(),
    }


def compare_map(path: str, truth: np.ndarray, pixel_size: float) -> dict:
    """FSC with the truth at fractions of Nyquist, its least and mean value up to a third, and the correlation."""
    found, found_pixel_size = read_volume(Path(path))
    curve, half = fsc(found, truth), len(truth) / 2
    low = curve[1 : len(truth) // 6 + 1]
    return {
        "least": low.min(),
        "mean": low.mean(),
        "curve": {name: curve[int(half * part)] for name, part in (("1/6", 1 / 6), ("1/3", 1 / 3), ("1/2", 1 / 2))},
        "correlation": np.corrcoef(found.ravel(), truth.ravel())[0, 1],
        "right": bool(low.min() > THRESHOLD and abs(found_pixel_size - pixel_size) < 1e-3),
    }


class Report:
    """Rows of the tables, and what failed."""

    def __init__(self) -> None:
        self.reading, self.maps, self.wrong, self.refused, self.failures = [], [], [], [], []
        self.pipeline: list[dict] = []
        self.versions: dict[str, dict] = {}

    def add_reading(self, where: dict, answer: dict, dataset: Dataset, chosen: list[int], grid: np.ndarray) -> None:
        if "error" in answer:
            self.refused.append({**where, "what": "reading", "message": answer["error"]})
            return
        found = compare_reading(dataset, answer["file"], chosen, grid)
        self.reading.append({**where, **found})
        for what, limit in LIMITS.items():
            if not found[what] <= limit:
                self.failures.append(f"{where}: {what} differs by {found[what]:.1e}, allowed {limit:.0e}")

    def add_map(self, where: dict, answer: dict, truth: np.ndarray, pixel_size: float, *, wrong: bool) -> None:
        if "error" in answer:
            self.refused.append({**where, "what": "map", "message": answer["error"]})
            if len(truth) % 2 == 0:
                self.failures.append(f"{where}: {answer['error']}")
            return
        found = compare_map(answer["file"], truth, pixel_size)
        (self.wrong if wrong else self.maps).append({**where, **found, "seconds": answer["seconds"]})
        if found["right"] == wrong:
            self.failures.append(f"{where}: least FSC {found['least']:.3f} although {'wrong' if wrong else 'right'}")

    def add_pipeline(self, where: dict, answer: dict, truth: np.ndarray) -> None:
        """The mean of recovar's command line against the truth, and against the truth magnified by two."""
        if "error" in answer:
            self.failures.append(f"{where}: {answer['error']}")
            return
        found, _ = read_volume(Path(answer["file"]))
        low = slice(1, len(truth) // 6 + 1)
        seen = {"truth": fsc(found, truth)[low].mean(), "magnified": fsc(found, magnify(truth))[low].mean()}
        self.pipeline.append({**where, **seen, "command": answer["command"]})

    def format(self) -> str:
        lines = [
            "; ".join(", ".join(" ".join(pair) for pair in each.items()) for each in self.versions.values()) + "."
        ]
        lines += ["", "Largest differences between what each program reads and what we do:", ""]
        lines += [f"| program | particles | form | {' | '.join(LIMITS)} |", "|---|---|---|" + "---|" * len(LIMITS)]
        for row in self.reading:
            lines.append(f"| {label(row, 'form')} | " + " | ".join(f"{row[what]:.0e}" for what in LIMITS) + " |")
        head = "FSC at 1/6 | 1/3 | 1/2 Nyquist | least to 1/3 | correlation |"
        lines += ["", "Each program's map of one state's particles against the true volume of the state:", ""]
        lines += [f"| program | particles | form | {head}", "|---|---|---|---|---|---|---|---|"]
        lines += [f"| {label(row, 'form')} | {scores(row)} |" for row in self.maps]
        lines += ["", "The same with one convention wrong on purpose:", ""]
        lines += [f"| program | particles | wrong | {head}", "|---|---|---|---|---|---|---|---|"]
        lines += [f"| {label(row, 'wrong')} | {scores(row)} |" for row in self.wrong]
        if self.pipeline:
            lines += ["", f"`{self.pipeline[0]['command']}`, mean FSC up to a third of Nyquist:", ""]
            lines += ["| particles | with the truth | with the truth magnified by two |", "|---|---|---|"]
            lines += [
                f"| {row['particles']} | {row['truth']:.3f} | {row['magnified']:.3f} |" for row in self.pipeline
            ]
        if self.refused:
            lines += ["", "Refused:", ""]
            lines += [f"- {label(row, 'form', ', ')}, {row['what']}: `{row['message']}`" for row in self.refused]
        return "\n".join(lines)


def label(row: dict, last: str, separator: str = " | ") -> str:
    return separator.join([row["program"], row["particles"], row[last]])


def scores(row: dict) -> str:
    values = [*row["curve"].values(), row["least"], row["correlation"]]
    return " | ".join(f"{value:.3f}" for value in values)
