"""Images whose phases were flipped come out as recorded; images multiplied by their CTF are refused."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import starfile

from cryobench import adopt
from cryobench._errors import FormatError
from cryobench.check import mend_particles
from cryobench.imaging.ctf import Ctf
from cryobench.io.formats.mrc import MrcStacks
from cryobench.io.programs.phase_flips import UnflippedImages
from cryobench.io.programs.relion import read_star, write_star
from cryobench.io.store import load_dataset, verify_dataset
from foreign import PIXEL_SIZE, make_particles, write_stack
from toy import toy_dataset


def relion_ctf(ctf: Ctf, size: int) -> np.ndarray:
    """(n, size, size // 2 + 1), written out anew: positive at zero frequency."""
    fy, fx = np.meshgrid(np.fft.fftfreq(size, PIXEL_SIZE), np.fft.rfftfreq(size, PIXEL_SIZE), indexing="ij")
    s2, angle = fx**2 + fy**2, np.arctan2(fy, fx)
    volts = ctf.voltage_kv[0] * 1e3
    wavelength = 12.2643247 / np.sqrt(volts * (1 + volts * 0.978466e-6))
    u, v, axis = (getattr(ctf, name)[:, None, None] for name in ("defocus_u", "defocus_v", "defocus_angle"))
    defocus = 0.5 * (u + v + (u - v) * np.cos(2 * (angle - axis)))
    gamma = np.pi * wavelength * defocus * s2 - np.pi / 2 * ctf.cs_mm[0] * 1e7 * wavelength**3 * s2**2
    return np.sqrt(1 - 0.1**2) * np.sin(gamma) + 0.1 * np.cos(gamma)


def band_limited(images: np.ndarray) -> np.ndarray:
    """Without the highest frequency along x of an even box: it stands for two of unlike CTF and cannot be flipped."""
    spectra = np.fft.rfft2(images)
    spectra[..., images.shape[-1] // 2] *= images.shape[-1] % 2
    return np.fft.irfft2(spectra, s=images.shape[-2:]).astype(np.float32)


def flip(images: np.ndarray, ctf: Ctf) -> np.ndarray:
    size = images.shape[-1]
    spectra = np.fft.rfft2(np.fft.ifftshift(images, axes=(1, 2))) * np.sign(relion_ctf(ctf, size))
    return np.fft.fftshift(np.fft.irfft2(spectra, s=(size, size)), axes=(1, 2))


@pytest.mark.parametrize("size", [32, 33])
@pytest.mark.parametrize("sign", [-1, 1])
def test_flipped_images_are_turned_back(tmp_path: Path, rng: np.random.Generator, size: int, sign: int) -> None:
    """Every other optics group is flipped; only these images are changed on the way."""
    n = 6
    ctf = make_particles(tmp_path).ctf
    ctf = replace(ctf, voltage_kv=np.tile([300.0, 200.0], 3))
    recorded = band_limited(rng.normal(size=(n, size, size)))
    stored = recorded.copy()
    stored[1::2] = flip(recorded[1::2], ctf[np.arange(1, n, 2)])
    write_stack(tmp_path / "particles.mrcs", stored)
    particles = make_particles(tmp_path / "x", images=MrcStacks(tmp_path / "particles.mrcs"), ctf=ctf, sign=sign)
    write_star(tmp_path / "p.star", particles)
    blocks = starfile.read(tmp_path / "p.star")
    blocks["optics"]["rlnCtfDataArePhaseFlipped"] = (blocks["optics"]["rlnVoltage"] == 200).astype(int)
    starfile.write(blocks, tmp_path / "p.star")

    notes: list[str] = []
    found = read_star(tmp_path / "p.star", sign=sign, notes=notes)
    order = np.array([5, 0, 3, 2])
    np.testing.assert_allclose(found.read(order), sign * recorded[order], atol=2e-4)
    np.testing.assert_array_equal(found.read(order)[[1, 3]], sign * recorded[[0, 2]])
    assert notes == [
        "phases of 3 of 6 images are flipped (_rlnCtfDataArePhaseFlipped is 1); they are unflipped as images are read"
    ]
    again = pickle.loads(pickle.dumps(found.images))
    np.testing.assert_array_equal(again.read(order), found.images.read(order))
    # Written and read once more, they are still known to be flipped.
    write_star(tmp_path / "again.star", found)
    np.testing.assert_array_equal(read_star(tmp_path / "again.star", sign=sign).read(order), found.read(order))


def test_flipped_phases_that_no_table_states_are_mended(tmp_path: Path) -> None:
    particles = make_particles(tmp_path)
    write_star(tmp_path / "p.star", particles)
    adopt(tmp_path / "p.star", tmp_path / "mine", mend=["ctf-phase-flipped"])
    expected = -flip(particles.images.read(np.arange(6)), particles.ctf)
    np.testing.assert_allclose(load_dataset(tmp_path / "mine").particles.read(np.arange(6)), expected, atol=1e-5)
    with pytest.raises(ValueError, match="in MRC stacks only"):
        mend_particles(toy_dataset(n=30).particles, ["ctf-phase-flipped"])


def test_a_data_set_of_flipped_images(tmp_path: Path) -> None:
    """Only the form that can say so is written, and it is found again."""
    particles = make_particles(tmp_path)
    stacks = particles.images
    assert isinstance(stacks, MrcStacks)
    flipped = UnflippedImages(stacks, particles.ctf, PIXEL_SIZE, np.ones(6, dtype=bool))
    write_star(tmp_path / "p.star", replace(particles, images=flipped))
    dataset = adopt(tmp_path / "p.star", tmp_path / "mine")
    verify_dataset(tmp_path / "mine")
    assert not {"particles.cs", "particles.csg", "ctf.pkl"} & set(dataset.card["files"])
    assert "particles.cs and ctf.pkl are left out" in " ".join(dataset.card["notes"])
    expected = -flip(stacks.read(np.arange(6)), particles.ctf)
    np.testing.assert_allclose(load_dataset(tmp_path / "mine").particles.read(np.arange(6)), expected, atol=1e-5)
    stacks.paths[0].rename(tmp_path / "elsewhere.mrcs")
    with pytest.raises(FormatError, match=r"adopt .*particles.star -o NEW"):
        load_dataset(tmp_path / "mine")


@pytest.mark.parametrize("block", ["optics", "particles"])
def test_images_multiplied_by_their_ctf_are_refused(tmp_path: Path, block: str) -> None:
    write_star(tmp_path / "p.star", make_particles(tmp_path))
    blocks = starfile.read(tmp_path / "p.star")
    for value in (0, 1):
        blocks[block]["rlnCtfDataAreCtfPremultiplied"] = value
        starfile.write(blocks, tmp_path / "p.star")
        if value == 0:
            assert isinstance(read_star(tmp_path / "p.star").images, MrcStacks)
            continue
        with pytest.raises(FormatError, match=r"of 6 of 6 particles are premultiplied .* without --premultiply_ctf"):
            read_star(tmp_path / "p.star")
