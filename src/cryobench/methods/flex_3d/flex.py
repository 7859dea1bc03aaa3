"""``3dflex``: the method, from particles to findings."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cryobench.compute import Compute
from cryobench.data import Convergence, Finding, HalfSetFsc, Particles, Reconstruction
from cryobench.fourier import fourier_crop, shell_indices
from cryobench.imaging.half_disc import HalfDisc
from cryobench.io.digest import hash_file
from cryobench.methods.flex_3d.advice import advise
from cryobench.methods.flex_3d.composition import Composition, measure_composition
from cryobench.methods.flex_3d.consensus import Consensus, find_consensus, low_pass, make_response
from cryobench.methods.flex_3d.forces import N_MODES, Forces, find_latents
from cryobench.methods.flex_3d.map_fit import MapFit, make_imaging
from cryobench.methods.flex_3d.misfit import make_band
from cryobench.methods.flex_3d.motion_findings import measure_strain, show_density, show_motion
from cryobench.methods.flex_3d.plan import check_sizes, read_latents, reserve_memory
from cryobench.methods.flex_3d.settings import Flex3DSettings
from cryobench.methods.flex_3d.solvent import Body, find_region, make_body
from cryobench.methods.flex_3d.training import Flex3DTraining, Start
from cryobench.methods.method import Method, Preset
from cryobench.reconstruction.decoders.deformation import pack_deformation
from cryobench.reconstruction.deformation import FlowNetwork, soft_modes
from cryobench.reconstruction.engine import Passes, RunContext, iterate
from cryobench.reconstruction.engine.state import pack_state, unpack_state
from cryobench.reconstruction.networks import NetworkImages, open_training, seeded_weights
from cryobench.reconstruction.statistics import find_masks, split_halves, volume_fsc

_SMALLEST_RADIUS = 3


@dataclass(frozen=True, eq=False)
class _Maps:
    """Maps at the full box, with the motion fixed."""

    values: Tensor
    """(m,) mean of both half-sets at the voxels, each shell times its fraction of signal."""
    curve: np.ndarray
    """(s,) FSC of the half-sets."""
    control: np.ndarray
    """(s,) the same without motion."""
    composition: Composition
    fits: tuple[Convergence, ...]


class Flex3D(Method[Flex3DSettings]):
    """One map deformed by a mesh: motion from a latent, density conserved, at given poses (cryoSPARC's 3DFlex)."""

    name = "3dflex"
    poses = "given"
    trains = True
    repeats = 0.4
    compared_on = 360
    Settings = Flex3DSettings
    presets: ClassVar[Mapping[str, Preset]] = {
        "paper": Preset("CryoBench, arXiv:2408.05526, with the program's defaults: K = 2, 20 cells, 16 epochs."),
        "laptop": Preset("A box of at most 64 px, batches of 32.", {"box": 64, "batch_size": 32}),
    }
    small: ClassVar[Mapping[str, Any]] = {
        "epochs": 4,
        "annealing_epochs": 4,
        "motion_epochs": 1,
        "batch_size": 24,
        "n_cells": 5,
        "width": 16,
        "depth": 2,
        "map_iterations": 2,
        "latent_learning_rate": 0.1,
        "initial_resolution": 24.0,
    }

    def estimate(self, particles: Particles, queries: Int[np.ndarray, "q"], context: RunContext) -> Reconstruction:
        """Latents (n, k) within ±1.5; volumes T(u(z)) V of the query particles.

        Raises
        ------
        ValueError
            If there are fewer particles than images in a batch, the mask is empty, a pixel is not finite, or a named
            segment does not exist.
        FormatError
            If a segmentation or initial latents do not fit, or the checkpoint is of another call.
        MemoryShortage
            If training does not fit in the budget.
        Diverged
            If the loss is not finite.
        """
        settings, n = self.settings, len(particles)
        check_sizes(particles, settings, context.compute.n_workers)
        box = min(particles.box_size, settings.training_box or particles.box_size)
        left = reserve_memory(particles, box, settings, context.compute)
        given = read_latents(n, settings)
        call = settings.model_dump(mode="json") | self._name_files()
        kept = context.open_checkpoint(particles, call)
        halves = split_halves(n, context.seed)
        consensus = self._find_consensus(particles, halves, left, context, call)
        region, notes = find_region(particles, consensus.volume)
        training_particles = particles.at_box(box)
        body = make_body(particles, training_particles, region, consensus.volume, settings)
        images = NetworkImages(
            training_particles,
            context.compute,
            keep_bytes=left,
            scaled_by="all",
            folder=context.checkpoint,
            progress=context.progress,
        )
        start = self._make_start(particles, training_particles, consensus, body, images, context.seed)
        if given is None:
            given = kept.take("first latents", partial(self._find_latents, start, images, context))["latents"]
        start = replace(start, latents=given)
        make = partial(self._make_training, start, context.seed)
        with open_training(make, images, context.compute) as training:
            _, convergence = iterate(training, kept, context.progress)
        flow, latents = training.flow.cpu(), training.table.values.cpu().numpy().copy()
        findings = training.findings(convergence, latents)
        del images, training
        maps = self._fit_maps(particles, body, flow, consensus, halves, latents, left, context, call)
        return self._answer(particles, queries, body, flow, latents, maps, notes, findings)

    def _answer(
        self,
        particles: Particles,
        queries: Int[np.ndarray, "q"],
        body: Body,
        flow: FlowNetwork,
        latents: Float[np.ndarray, "n k"],
        maps: _Maps,
        notes: tuple[str, ...],
        findings: tuple[Finding, ...],
    ) -> Reconstruction:
        volume = body.voxels.put(maps.values).numpy()
        strain = measure_strain(flow, body, maps.values, latents)
        motion = show_motion(flow, body, maps.values, latents, volume, particles.pixel_size)
        advice = advise(latents, strain, maps.composition, maps.curve, particles.pixel_size, self.settings)
        return Reconstruction(
            queries,
            latents=latents,
            model=pack_deformation(flow, body.mesh, maps.values, body.voxels, particles.pixel_size),
            decodes_by="deformation",
            findings=(
                *findings,
                *maps.fits,
                motion,
                show_density(latents, self.settings.latent_noise),
                HalfSetFsc(maps.curve, control=maps.control),
            ),
            notes=(*notes, *advice),
        )

    def _find_consensus(
        self,
        particles: Particles,
        halves: Int[np.ndarray, "n"],
        left: float,
        context: RunContext,
        call: Mapping[str, Any],
    ) -> Consensus:
        checkpoint = context.with_checkpoint("consensus").open_checkpoint(particles, call)
        found = checkpoint.find("consensus")
        if found is not None:
            return unpack_state(Consensus, *found)
        passes = self._open_passes(particles, left, context)
        sphere, _, _ = find_masks(particles)
        with context.progress.task("consensus", total=1) as task:
            consensus = find_consensus(passes, halves, sphere.to(context.compute.device))
            task.advance()
        consensus = unpack_state(Consensus, *pack_state(consensus))
        checkpoint.keep("consensus", *pack_state(consensus))
        return consensus

    def _make_start(
        self,
        particles: Particles,
        training: Particles,
        consensus: Consensus,
        body: Body,
        images: NetworkImages,
        seed: int,
    ) -> Start:
        """Start of training in the units of the prepared images: cropped, windowed, and divided by their scale."""
        settings, box = self.settings, training.box_size
        length = box * training.pixel_size
        last = max(_SMALLEST_RADIUS, round(settings.band * (box // 2)))
        last = min(last, (box - 1) // 2)
        first = int(np.clip(length / settings.initial_resolution, min(_SMALLEST_RADIUS, last), last))
        volume = fourier_crop(consensus.volume, box, dimensions=3) / images.scale
        values = body.training.take(low_pass(volume, make_response(box, first + 1)))
        if not float(values.square().mean()) > 0:
            raise ValueError("the consensus is zero inside the mask: check that the mask covers the molecule.")
        kept = len(consensus.noise) if box == particles.box_size else last + 1
        noise = consensus.noise[:kept] * (box / particles.box_size) ** 6 * images.window_power / images.scale**2
        weights = HalfDisc(box, kept - 1).shell_weights
        content = np.cumsum(weights * (consensus.signal / consensus.noise)[:kept])
        with seeded_weights(seed):
            flow = FlowNetwork(settings.z_dim, settings.width, settings.depth, body.mesh.n_vertices)
        return Start(flow, body.mesh, body.training, body.weights, values, noise, content, (first, last))

    def _find_latents(
        self, start: Start, images: NetworkImages, context: RunContext
    ) -> dict[str, Float[np.ndarray, "n k"]]:
        """Latents from the forces of the images on the undeformed consensus."""
        masses = np.zeros(start.mesh.n_vertices)
        contributions = start.voxels.weights * start.values.clamp(min=0).numpy()[:, None]
        np.add.at(masses, start.voxels.vertices_of(), contributions)
        modes = soft_modes(start.mesh, start.weights, masses, N_MODES)
        band = make_band(start.voxels.box_size, start.radius[0], start.noise)
        values = start.values.to(context.compute.device)
        forces = Forces(images, start.mesh, start.voxels, values, modes, band)
        return {"latents": find_latents(*forces.measure(context.seed, context.progress), self.settings.z_dim)}

    def _make_training(self, start: Start, seed: int, images: NetworkImages, compute: Compute) -> Flex3DTraining:
        return Flex3DTraining(start, images, self.settings, compute, seed)

    def _fit_maps(
        self,
        particles: Particles,
        body: Body,
        flow: FlowNetwork,
        consensus: Consensus,
        halves: Int[np.ndarray, "n"],
        latents: Float[np.ndarray, "n k"],
        left: float,
        context: RunContext,
        call: Mapping[str, Any],
    ) -> _Maps:
        """Maps of both halves with motion and without, and what the motion leaves."""
        passes = self._open_passes(particles, left, context)
        maps: list[Tensor] = []
        curves, fits = [], []
        for name, moving, words in (("maps", flow, ""), ("still-maps", None, ", without motion")):
            imaging = make_imaging(body.voxels, body.mesh, moving, consensus)
            fit = MapFit(passes, imaging, consensus, halves, latents, self.settings.map_iterations)
            checkpoint = context.with_checkpoint(name).open_checkpoint(particles, call)
            state, convergence = iterate(fit, checkpoint, context.progress)
            maps.append(state.values.cpu())
            curves.append(volume_fsc(*(body.voxels.put(half) for half in maps[-1])))
            fits.append(replace(convergence, objective=convergence.objective + words))
        values = body.voxels.take(_weigh_shells(body.voxels.put(maps[0].mean(0)), curves[0]))
        with context.progress.task("variation of the density", total=1) as task:
            imaging = make_imaging(body.voxels, body.mesh, flow, consensus)
            composition = measure_composition(passes, imaging, values, latents)
            task.advance()
        return _Maps(values, curves[0], curves[1], composition, tuple(fits))

    def _open_passes(self, particles: Particles, left: float, context: RunContext) -> Passes:
        kept = left * context.compute.n_workers
        return Passes(particles, context.compute, keep_bytes=kept, progress=context.progress)

    def _name_files(self) -> dict[str, str]:
        """Digests of the files named by settings: the identity of a run depends on their contents."""
        paths = {"latents": self.settings.initial_latents, "segments": self.settings.segmentation}
        return {name: hash_file(path) for name, path in paths.items() if path is not None}


def _weigh_shells(volume: Float[Tensor, "z y x"], curve: Float[np.ndarray, "s"]) -> Float[Tensor, "z y x"]:
    """Mean of two half-maps, each shell times its fraction of signal, 2 FSC / (1 + FSC)."""
    kept = np.clip(curve, 0, 1)
    weights = torch.from_numpy(2 * kept / (1 + kept)).float()
    weights = torch.cat([weights, weights.new_zeros(1)])
    return low_pass(volume, weights[shell_indices(volume.shape[-1], 3).clamp(max=len(curve))])
