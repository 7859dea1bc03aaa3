"""Images from slices of a volume and from the atoms are the same images, junk, contrast and solvent included."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from cryobench.atoms.model import AtomicModel
from cryobench.atoms.solvent import ELECTRONS_PER_GRAM, PROTEIN_VOLUME, make_layers
from cryobench.fourier import frequency_grid, ifft_images
from cryobench.imaging.ctf import evaluate_ctf
from cryobench.imaging.grid import volume_to_fourier
from cryobench.recipes.draws import Junk, draw_contrast, draw_ctf, draw_junk
from cryobench.recipes.imaging.images import Microscope, render_state
from cryobench.recipes.imaging.job import Job
from cryobench.recipes.imaging.projectors import AtomProjector, FrameProjector, SliceProjector
from cryobench.recipes.recipe import Ensemble
from cryobench.recipes.settings import SimulationSettings
from cryobench.volumes.render import render
from molecules import read_antibody


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class OneState(Ensemble):
    """The antibody, 24 images."""

    only: AtomicModel

    def model(self, state: int) -> AtomicModel:
        return self.only


def make_job(**changes: object) -> Job:
    settings = SimulationSettings(**{"box_size": 48, "pixel_size": 6.0, "resolution": 6.0, **changes})
    ensemble = OneState(only=read_antibody().centred(), counts=np.array([24]))
    states = np.zeros(24, dtype=np.int64)
    return Job(ensemble, settings, 0, Path("nowhere"), ensemble.counts, states, range(24), 128, 1.0, 0.05)


def image(job: Job, road: str, particles: range = range(24)) -> np.ndarray:
    model = job.ensemble.model(0)
    if road == "slices":
        projector = SliceProjector(volume_to_fourier(render_state(model, job.settings)[0], kernel="wide"))
    elif road == "atoms":
        projector = AtomProjector(job.settings, [model])
    else:
        projector = FrameProjector(job.settings, model, model.positions[None])
    spectra = Microscope(job).image(projector, np.array(particles))
    return ifft_images(spectra, job.settings.box_size).numpy()


def relative(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.linalg.norm(first - second) / np.linalg.norm(first))


@pytest.mark.parametrize("box_size", [48, 49])
@pytest.mark.parametrize("solvent", [0.0, 0.94])
def test_both_roads_give_the_same_images(box_size, solvent):
    # Atoms of sigma 0.9 fine voxels: with narrower ones their sampling on the fine grid tells the roads apart.
    job = make_job(box_size=box_size, solvent_density=solvent, resolution=12.0)
    slices, atoms = image(job, "slices"), image(job, "atoms")
    assert relative(slices, atoms) < 6e-3
    np.testing.assert_array_equal(atoms, image(job, "frames"))
    # What tells them apart is interpolation and aliasing, not a pose or a pixel.
    moved = dataclasses.replace(job, seed=1)
    assert relative(slices, image(moved, "atoms")) > 0.5
    assert relative(slices, np.roll(atoms, 1, axis=2)) > 0.1


def test_junk_shows_what_it_is():
    chosen = {"junk_noise": 0.3, "junk_wrong": 0.3, "junk_pair": 0.3, "shift_extent": 0.0}
    job, tidy = make_job(**chosen), make_job(shift_extent=0.0)
    kinds = draw_junk(job.settings, 0, range(24))
    assert set(kinds) == set(Junk)
    junk, proper = image(job, "atoms"), image(tidy, "atoms")
    assert (junk[kinds == Junk.NOISE] == 0).all()
    np.testing.assert_array_equal(junk[kinds == Junk.PARTICLE], proper[kinds == Junk.PARTICLE])
    for row in np.flatnonzero(kinds == Junk.WRONG):
        assert junk[row].std() > 0
        assert np.corrcoef(junk[row].ravel(), proper[row].ravel())[0, 1] < 0.9
    pairs = np.flatnonzero(kinds == Junk.PAIR)
    # The second particle is what is added to the first; its mass lies pair_distance away.
    assert len(pairs) == 3
    plain = {"shift_extent": 0.0, "b_factor": 0.0, "amplitude_contrast": 1.0, "voltage_kv": 300.0, "cs_mm": 0.0}
    flat = {**plain, "defocus_mean": 0.0, "defocus_deviation": 0.0, "defocus_min": 0.0, "astigmatism": 0.0}
    near = {**chosen, **flat, "pair_distance": 40.0}
    first = image(make_job(**flat), "atoms")[pairs]
    second = image(make_job(**near), "atoms")[pairs] - first
    axis = (np.arange(48) - 24) * 6.0
    weight = second.sum(axis=(1, 2))
    centre = np.stack([(second * axis).sum(axis=(1, 2)), (second * axis[:, None]).sum(axis=(1, 2))]) / weight
    np.testing.assert_allclose(np.linalg.norm(centre, axis=0), 40.0, atol=2)
    # What leaves the box is gone.
    far = image(make_job(**{**near, "pair_distance": 170.0}), "atoms")[pairs] - first
    assert (np.abs(far.sum(axis=(1, 2))) < 0.5 * np.abs(weight)).all()


def test_contrast_scales_the_signal_and_structural_noise_is_added_before_the_ctf():
    plain, scaled = image(make_job(), "atoms"), image(make_job(contrast_deviation=0.3), "atoms")
    factors = draw_contrast(make_job(contrast_deviation=0.3).settings, 0, range(24))
    np.testing.assert_allclose(scaled, plain * factors[:, None, None], rtol=1e-4, atol=1e-5 * plain.std())
    noisy = image(make_job(structural_snr=1.0), "atoms") - plain
    both = image(make_job(structural_snr=1.0, contrast_deviation=0.3), "atoms") - scaled
    np.testing.assert_allclose(both, noisy, atol=1e-4 * plain.std())  # contrast is that of the particle alone
    # Filtered by the CTF: no power at its zeros, and less variance than was put in.
    spectra = np.abs(np.fft.rfft2(noisy)) ** 2
    ctf = draw_ctf(make_job().settings, 0, range(24))
    transfer = evaluate_ctf(ctf, frequency_grid(48, 2, pixel_size=6.0)).numpy()
    inside = np.hypot(*np.meshgrid(np.fft.rfftfreq(48), np.fft.fftfreq(48))) < 0.45
    np.testing.assert_allclose(
        spectra[:, inside].mean(), (0.05**2 * 48**2 * transfer[:, inside] ** 2).mean(), rtol=0.05
    )
    assert spectra[:, inside][transfer[:, inside] ** 2 < 1e-4].mean() < 0.01 * spectra[:, inside].mean()


def test_solvent_takes_away_the_volume_that_the_protein_displaces():
    model = read_antibody().centred()
    vacuum, ice = render(model, 96, 3.0, 6.0), render(model, 96, 3.0, 6.0, solvent_density=0.94)
    electrons = 0.94 * ELECTRONS_PER_GRAM * PROTEIN_VOLUME * model.mass_with_hydrogens
    hydrogens = (model.mass_with_hydrogens - model.mass) / 1.008
    expected = model.atomic_numbers.sum() + hydrogens - electrons
    assert ice.sum().item() * 27 == pytest.approx(expected, rel=3e-3)
    assert vacuum.sum().item() * 27 == pytest.approx(model.atomic_numbers.sum(), rel=1e-3)
    # The contrast of protein in ice is about a quarter of that in vacuum: 0.43 against 0.31 electrons per Å³.
    assert 0.2 < ice.sum().item() / vacuum.sum().item() < 0.4
    assert [layer.weights.sum() > 0 for layer in make_layers(model, 6.0, 0.94)] == [True, False]
    # Fine detail keeps its contrast: displaced solvent is smooth.
    power = [torch.fft.rfftn(each).abs()[24, 24, 24].item() for each in (vacuum, ice)]
    assert power[1] > 0.5 * power[0]
