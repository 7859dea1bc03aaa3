"""Training of flow, latents and map together: the loss, and a step on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from cryobench.compute import Compute
from cryobench.imaging.real_space.moved_voxels import BoundVoxels, project_voxels
from cryobench.methods.flex_3d.consensus import low_pass, make_response
from cryobench.methods.flex_3d.misfit import Band, make_band, misfit, place_vertices
from cryobench.methods.flex_3d.settings import RANGE, Flex3DSettings
from cryobench.reconstruction.deformation import FlowNetwork, Mesh, rigidity_energy
from cryobench.reconstruction.images import Minibatches
from cryobench.reconstruction.networks import (
    AdamSettings,
    NetworkBatch,
    NetworkImages,
    SparseRowAdam,
    Training,
    adam_tensors,
    make_adam,
)
from cryobench.rng import stream

_POWER = 4


@dataclass(frozen=True, eq=False)
class Start:
    """Initial state of the training, on the CPU."""

    flow: FlowNetwork
    mesh: Mesh
    voxels: BoundVoxels
    """Voxels in the training box."""
    weights: np.ndarray
    """(t,) rigidity of the elements."""
    values: Tensor
    """(m,) consensus at the voxels, in units of the prepared images."""
    noise: np.ndarray
    """(s,) power of the noise of prepared images, per shell."""
    content: np.ndarray
    """(s,) nats that the consensus explains of an image, up to and including each shell."""
    radius: tuple[int, int]
    """Shells compared at the beginning and at the end."""
    latents: np.ndarray = field(default_factory=lambda: np.empty((0, 0), dtype=np.float32))
    """(n, k) float32."""


class Flex3DTraining(Training):
    """Training on minibatches of images, each with its latent from a row of the table."""

    label = "epochs of 3DFlex"
    objective = (
        "misfit relative to the information of the consensus, plus rigidity and centring; the resolution rises while "
        "learning rates fall"
    )
    advice = "Lower flow_learning_rate or map_learning_rate; look for outliers among the images."

    def __init__(
        self, start: Start, images: NetworkImages, settings: Flex3DSettings, compute: Compute, seed: int
    ) -> None:
        batches = Minibatches(len(images), settings.batch_size, seed)
        super().__init__(images, batches, settings.epochs, compute)
        self._start, self._settings, self._seed = start, settings, seed
        self.flow = start.flow.to(self.device)
        self._rest = start.mesh.rest.to(self.device)
        self._box = start.voxels.box_size
        self.unit = float(start.values.square().mean().sqrt())
        """Root mean square of the consensus at the voxels: the unit of the map in training."""
        self._values = nn.Parameter((start.values / self.unit).to(self.device))
        self._flow_adam = make_adam(self.flow.parameters(), settings.flow_learning_rate)
        self._map_adam = make_adam([self._values], settings.map_learning_rate)
        values = torch.from_numpy(start.latents.copy()).to(self.device)
        self.table = SparseRowAdam(values, AdamSettings(settings.latent_learning_rate))
        """Latents (n, k)."""
        self._content = float(start.content[start.radius[1]])
        self.empty = 1 + self._content / len(make_band(self._box, start.radius[0], start.noise))
        self._low_passed: tuple[int, Tensor] | None = None

    def train(self, batch: NetworkBatch, step: int) -> Mapping[str, Float[Tensor, ""]]:
        """One step of Adam for the flow, the latents of the batch and, after the first epochs, the map."""
        settings, progress = self._settings, self._progress_at(step)
        band = make_band(self._box, self._radius_at(progress), self._start.noise)
        moves_map = step >= settings.motion_epochs * self.batches.steps_per_epoch
        response = self._response(band.disc.radius)
        values = self._filter(self._values.detach(), response).requires_grad_(moves_map)
        rows = torch.from_numpy(batch.indices).to(self.device)
        latents = self.table.read(rows)
        drawn = stream(self._seed, "latent noise", step).standard_normal(latents.shape).astype(np.float32)
        noise = torch.from_numpy(drawn[batch.own]).to(self.device)
        own = latents[batch.own]
        moved = self._rest + self.flow(own + settings.latent_noise * noise)
        fraction = 1 / len(rows)
        data_term = self.process_group.total(self._misfit(moved, values, batch, band) * fraction)
        energy = self.process_group.total(self._energy(moved) * fraction)
        centring = self.process_group.total((own / RANGE).abs().pow(_POWER).sum() * fraction)
        loss = (data_term + settings.centring * centring) / self._content + settings.rigidity * energy
        self._zero_gradients()
        loss.backward()
        leaves = [*self.flow.parameters(), latents, *([values] if moves_map else [])]
        self.process_group.sum_gradients(leaves)
        fallen = (settings.last_flow_learning_rate / settings.flow_learning_rate) ** progress
        for group in self._flow_adam.param_groups:
            group["lr"] = settings.flow_learning_rate * fallen
        self._flow_adam.step()
        if moves_map:
            assert values.grad is not None
            self._values.grad = self._filter(values.grad, response)
            self._map_adam.step()
        if not settings.freeze_latents:
            assert latents.grad is not None
            self.table.lr = settings.latent_learning_rate * fallen
            self.table.step(rows, latents.grad)
            self.table.values.clamp_(-RANGE, RANGE)
        return {
            "loss": loss.detach(),
            "residual": data_term.detach() / len(band),
            "rigidity": energy.detach(),
            "centring": centring.detach(),
        }

    def latents(self, indices: Int[np.ndarray, "b"]) -> Float[Tensor, "b k"]:
        """Rows (b, k) of the table."""
        return self.table.values[torch.from_numpy(indices).to(self.device)]

    def tensors(self) -> Mapping[str, Tensor]:
        """Weights, map, their moments, and the table with its moments."""
        return {
            **{f"flow.{name}": value for name, value in self.flow.named_parameters()},
            "map": self._values,
            **adam_tensors(self._flow_adam, "flow adam"),
            **adam_tensors(self._map_adam, "map adam"),
            **{f"table.{name}": value for name, value in self.table.state().items()},
        }

    def restore(self, done: int) -> None:
        """Resume the step counts of the table."""
        self.table.steps = done

    def _misfit(
        self, moved: Float[Tensor, "b v 3"], values: Float[Tensor, "m"], batch: NetworkBatch, band: Band
    ) -> Float[Tensor, ""]:
        """Sum over the images of this process, in nats."""
        if not len(moved):  # a process of the group may be left without images
            return (moved.sum() + values.sum()) * 0
        assert batch.rotations is not None
        places = place_vertices(moved, batch.rotations, self._start.voxels, self._start.mesh)
        images = project_voxels(places, values, self._start.voxels)
        gain, data = band.of_batch(batch)
        return misfit(images, gain, data, band.weights(self.device), band)

    def _energy(self, moved: Float[Tensor, "b v 3"]) -> Float[Tensor, ""]:
        """Sum over the images of the mean energy of an element."""
        energies = rigidity_energy(moved, self._start.mesh, self._start.weights)
        return energies.sum() / len(self._start.weights)

    def _filter(self, values: Float[Tensor, "m"], response: Float[Tensor, "z y h"]) -> Float[Tensor, "m"]:
        """Values at the voxels, low-passed, in units of the images."""
        voxels = self._start.voxels
        return voxels.take(low_pass(voxels.put(values), response)) * self.unit

    def _response(self, radius: int) -> Float[Tensor, "z y h"]:
        if self._low_passed is None or self._low_passed[0] != radius:
            self._low_passed = radius, make_response(self._box, radius + 1, self.device)
        return self._low_passed[1]

    def _progress_at(self, step: int) -> float:
        """Progress of the annealing, from 0 at its beginning to 1 at its end."""
        return min(1.0, step / (self._settings.annealing_epochs * self.batches.steps_per_epoch))

    def _radius_at(self, progress: float) -> int:
        """Radius: the first one while the map is fixed, then rising to the last at 3/4 of the annealing."""
        fixed = min(0.7, self._settings.motion_epochs / self._settings.annealing_epochs)
        first, last = self._start.radius
        return round(first + (last - first) * float(np.clip((progress - fixed) / (0.75 - fixed), 0, 1)))

    def _zero_gradients(self) -> None:
        self._flow_adam.zero_grad(set_to_none=True)
        self._map_adam.zero_grad(set_to_none=True)
