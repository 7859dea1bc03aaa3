"""A method of another package: hard classification by back-projection, in thirty lines."""

from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field

from cryobench.data import ClassVolumes, Reconstruction
from cryobench.imaging.class_scores import score_classes
from cryobench.imaging.grid import volume_to_fourier
from cryobench.methods import Method, MethodSettings
from cryobench.reconstruction.engine import Iteration, Passes, Step, iterate
from cryobench.reconstruction.statistics import solve_volumes, sum_classes


class ToySettings(MethodSettings):
    n_classes: int = Field(3, ge=1, description="classes")
    n_iterations: int = Field(8, ge=1, description="iterations")


@dataclass
class Classes:
    volumes: torch.Tensor
    posteriors: np.ndarray


class Alternation(Iteration[Classes]):
    label, State, shown = "toy classes", Classes, ("changed",)

    def __init__(self, passes, settings):
        self.passes, self.n_steps, self.k = passes, settings.n_iterations, settings.n_classes

    def start(self):
        powers = self.passes.run(_powers)[1]["power"]
        return self.solve(np.eye(self.k, dtype=np.float32)[np.argsort(np.argsort(powers)) % self.k])

    def solve(self, posteriors):
        sums = sum_classes(self.passes, posteriors, self.passes.mean_power)
        return Classes(solve_volumes(sums)[0], posteriors)

    def step(self, state, done, log):
        found = self.passes.run(_choose, volume_to_fourier(state.volumes), self.passes.mean_power)[1]["posteriors"]
        changed = float((found != state.posteriors).any(1).mean())
        stop = "converged: no particle changed its class" if changed == 0 else None
        return Step(self.solve(found), ({"iteration": done + 1, "changed": changed},), stop=stop)


class ToyClasses(Method[ToySettings]):
    """Toy: each particle to the class volume that is nearest to it."""

    name, poses, Settings = "toy-classes", "given", ToySettings

    def estimate(self, particles, queries, context):
        passes = Passes(particles, context.compute, progress=context.progress)
        kept = context.open_checkpoint(particles, self.settings.model_dump(mode="json"))
        state, convergence = iterate(Alternation(passes, self.settings), kept, context.progress)
        volumes = state.volumes.cpu().numpy()
        found = ClassVolumes(volumes, state.posteriors.mean(axis=0))
        model = {"volumes": volumes}
        return Reconstruction(
            queries, posteriors=state.posteriors, model=model, decodes_by="classes", findings=(found, convergence)
        )


def _powers(spectra):
    powers = np.zeros(len(spectra))
    for batch in spectra.batches():
        powers[batch.indices] = batch.power[:, 1:].sum(1).cpu().numpy()
    return {}, {"power": powers}


def _choose(spectra, volumes, noise):
    posteriors = np.zeros((len(spectra), volumes.n_volumes), dtype=np.float32)
    for batch in spectra.batches():
        scores = score_classes(
            volumes, batch.data, batch.ctf, batch.rotations, spectra.disc, spectra.disc.radius
        ).double()
        nearest = torch.einsum("nsk,s->nk", scores, torch.from_numpy(1 / noise)).argmin(1)
        posteriors[batch.indices, nearest.numpy()] = 1
    return {}, {"posteriors": posteriors}
