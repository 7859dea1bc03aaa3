"""All settings of the imaging, with units. The imperfections of real particles are included, and off by default."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FilePath, model_validator


class SimulationSettings(BaseModel):
    """Settings common to all recipes; recipes add those of their ensemble.

    The defaults are ideal: white noise, the same contrast in every image, uniform orientations, exact poses.
    ``REALISTIC`` is a documented set of imperfections.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # The grid and the density
    box_size: int = Field(128, ge=8, le=1024, description="side of the images, px")
    pixel_size: float = Field(3.0, gt=0, description="Å per pixel of the images")
    oversampling: int = Field(
        2, ge=1, le=8, description="atoms are rendered on a grid this much finer, then Fourier-cropped"
    )
    resolution: float = Field(3.0, gt=0, description="resolution of the density in Å, as in ChimeraX's molmap")
    projection: Literal["auto", "slices", "atoms"] = Field(
        "auto", description="project from slices of each state's volume, from its atoms, or whichever is faster"
    )
    solvent_density: float = Field(
        0.0, ge=0, le=1.5, description="mass density of the solvent around the molecule, g/cm³; vitreous ice 0.94"
    )

    # Particles
    order: Literal["shuffled", "by state"] = Field(
        "shuffled", description="order of the particles in the table; by state reveals the state"
    )
    population_ratio: float = Field(
        1.0, ge=1, description="factor on the most favoured state's count, falling geometrically to 1 for the least"
    )
    n_queries: int = Field(
        100, ge=1, description="query particles, at least: every k-th of the particles sorted by state"
    )

    # Poses
    shift_extent: float = Field(30.0, ge=0, description="shifts are uniform in ± this many Å along x and y")
    orientation: Literal["uniform", "von Mises-Fisher", "Watson"] = Field(
        "uniform",
        description="distribution of viewing directions: about one direction, or about an axis or its equator",
    )
    orientation_concentration: float = Field(
        5.0,
        ge=-700,
        le=700,
        description="concentration κ of that distribution; Watson: negative for views around the equator",
    )
    orientation_axis: tuple[float, float, float] = Field(
        (0.0, 0.0, 1.0), description="axis (x, y, z) of that distribution in the frame of the structure"
    )

    # CTF
    ctf_table: FilePath | None = Field(
        None, description=".pkl (cryoDRGN), .star or .cs from which CTFs are drawn without replacement instead"
    )
    ctf_table_reuse: bool = Field(False, description="start the CTF table again when all of its rows are used")
    defocus_mean: float = Field(14_000.0, description="mean of the defocus in Å; positive is underfocus")
    defocus_deviation: float = Field(4_000.0, ge=0, description="standard deviation of the defocus in Å")
    defocus_min: float = Field(5_000.0, description="defocus is redrawn below this, Å")
    defocus_max: float = Field(25_000.0, description="defocus is redrawn above this, Å")
    astigmatism: float = Field(400.0, ge=0, description="mean of |defocus U − V| (half-normal) in Å")
    voltage_kv: float = Field(300.0, gt=0, description="acceleration voltage, kV")
    cs_mm: float = Field(2.7, description="spherical aberration, mm")
    amplitude_contrast: float = Field(0.1, ge=0, le=1, description="fraction of amplitude contrast")
    b_factor: float = Field(100.0, ge=0, description="envelope exp(−B s² / 4) of the images, Å²")
    b_factor_deviation: float = Field(
        0.0, ge=0, description="standard deviation of the B factor between particles, Å² (normal, cut off at 0)"
    )

    # Signal and noise
    snr: float = Field(0.1, gt=0, description="variance of the noise-free images / variance of the noise")
    snr_pixel_size: float | None = Field(
        None, gt=0, description="Å per pixel at which the SNR is defined; default: that of the images"
    )
    noise_level: Literal["data set", "structure"] = Field(
        "data set", description="one noise level for the whole set, or one for each structure, at the same SNR"
    )
    noise_exponent: float = Field(
        0.0, ge=0, le=6, description="noise power falls as (1 + (s / noise_corner)²)^(−exponent / 2); 0 is white"
    )
    noise_corner: float = Field(0.02, gt=0, description="frequency above which the noise power falls, 1/Å")
    noise_spectrum: FilePath | None = Field(
        None, description="text file of two columns, frequency (1/Å) and noise power, instead of that formula"
    )
    noise_deviation: float = Field(
        0.0, ge=0, le=1, description="standard deviation of the log of each image's noise level (mean square kept)"
    )
    contrast_deviation: float = Field(
        0.0, ge=0, le=1, description="standard deviation of the log of each image's contrast (mean square kept)"
    )
    structural_snr: float | None = Field(
        None, gt=0, description="variance of the projections / variance of white noise added before the CTF"
    )

    # Junk
    junk_noise: float = Field(0.0, ge=0, le=1, description="fraction of images with noise only")
    junk_wrong: float = Field(
        0.0, ge=0, le=1, description="fraction of images of another molecule, a symmetric complex"
    )
    junk_pair: float = Field(
        0.0, ge=0, le=1, description="fraction of images with a second particle next to the first"
    )
    pair_distance: float = Field(
        120.0, ge=0, description="distance of the second particle from the first, in the image, Å"
    )

    # Errors of the poses and CTFs given to methods
    rotation_error_deg: float = Field(
        0.0, ge=0, description="standard deviation of the error of given rotations, about each axis, degrees"
    )
    shift_error: float = Field(0.0, ge=0, description="standard deviation of the error of given shifts, each axis, Å")
    defocus_error: float = Field(0.0, ge=0, description="standard deviation of the error of given defoci, Å")
    astigmatism_angle_error_deg: float = Field(
        0.0, ge=0, description="standard deviation of the error of given defocus angles, degrees"
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.snr_pixel_size is not None and self.snr_pixel_size > self.pixel_size:
            raise ValueError(f"snr_pixel_size must not exceed the images' pixel_size, {self.pixel_size} Å")
        if self.junk_fraction > 0.9:
            raise ValueError(f"junk_noise, junk_wrong and junk_pair add up to {self.junk_fraction:g}, more than 0.9")
        if not any(self.orientation_axis):
            raise ValueError("orientation_axis needs a direction, got (0, 0, 0)")
        if self.orientation == "von Mises-Fisher" and self.orientation_concentration < 0:
            raise ValueError(
                "von Mises-Fisher needs orientation_concentration of 0 or more: reverse orientation_axis instead"
            )
        return self

    @property
    def junk_fraction(self) -> float:
        """Fraction of the images that do not show one particle of the data set."""
        return self.junk_noise + self.junk_wrong + self.junk_pair

    @property
    def files(self) -> dict[str, Path]:
        """Files among the settings, by name: their contents define the data set."""
        return {name: value for name, value in self if isinstance(value, Path)}

    @property
    def fine_box_size(self) -> int:
        """Side of the grid on which atoms are rendered."""
        return self.box_size * self.oversampling

    @property
    def fine_pixel_size(self) -> float:
        """Å per pixel of that grid."""
        return self.pixel_size / self.oversampling


_SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"box_size": 32, "pixel_size": 12.0, "resolution": 12.0, "n_queries": 20, "snr": 0.5},
    "lite": {"box_size": 64, "pixel_size": 6.0, "resolution": 6.0, "snr": 0.1},
    "paper": {"box_size": 128, "pixel_size": 3.0, "resolution": 3.0, "snr": 0.01, "snr_pixel_size": 1.5},
}


def make_presets(**changes: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Presets of a molecule of up to about 300 Å, "tiny", "lite" and "paper", with the changes of a recipe."""
    return {name: {**_SIZES[name], **changed} for name, changed in changes.items()}


REALISTIC: dict[str, Any] = {
    "solvent_density": 0.94,
    "population_ratio": 4.0,
    "orientation": "Watson",
    "orientation_concentration": 1.5,
    "b_factor_deviation": 25.0,
    "noise_exponent": 1.0,
    "noise_corner": 0.02,
    "noise_deviation": 0.1,
    "contrast_deviation": 0.2,
    "structural_snr": 2.0,
    "junk_noise": 0.05,
    "junk_wrong": 0.05,
    "junk_pair": 0.05,
    "rotation_error_deg": 2.0,
    "shift_error": 1.5,
    "defocus_error": 150.0,
    "astigmatism_angle_error_deg": 5.0,
}
"""The preset "realistic", on top of "lite": good particles after a consensus refinement."""
