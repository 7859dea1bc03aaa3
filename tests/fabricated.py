"""Results made up for tests of the report: blobs on a circle, and runs of which one failed and one lacks parts.

Nothing here was reconstructed: volumes are the truth with noise, scores follow from invented FSC curves.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from cryobench.data import (
    ArrayImages,
    ClassVolumes,
    CollectiveVariable,
    Components,
    Convergence,
    Dataset,
    DatasetIdentity,
    Finding,
    GroundTruth,
    HalfSetFsc,
    IndexedVolumes,
    LatentDensity,
    LatentPath,
    Machine,
    Particles,
    Reconstruction,
    RunCost,
    RunRecord,
    Score,
    Scores,
    StateComponents,
)
from cryobench.fourier import fft_images, frequency_grid, ifft_images
from cryobench.imaging.ctf import Ctf, evaluate_ctf
from cryobench.report.card.views import project_truth
from cryobench.rotations import rotations_from_quaternions

N_STATES, BOX_SIZE, N_PARTICLES, PIXEL_SIZE = 20, 32, 100, 6.0
HOSTILE_NAME = '<img src=x onerror="fail()"> & co'


def blob_volumes(n_states: int = N_STATES, box_size: int = BOX_SIZE) -> np.ndarray:
    """Three fixed blobs and one that moves on a circle (n_states, z, y, x)."""
    axis = np.arange(box_size) - box_size // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")

    def blob(x0: float, y0: float, z0: float, width: float) -> np.ndarray:
        return np.exp(-((x - x0) ** 2 + (y - y0) ** 2 + (z - z0) ** 2) / (2 * width**2))

    unit = box_size / 32
    body = blob(0, 0, 0, 3 * unit) + blob(5 * unit, -2 * unit, 0, 2.5 * unit) + blob(0, 3 * unit, -6 * unit, 2 * unit)
    angles = 2 * np.pi * np.arange(n_states) / n_states
    arms = [blob(8 * unit * np.cos(a), 8 * unit * np.sin(a), 6 * unit, 2.2 * unit) for a in angles]
    return np.stack([body + arm for arm in arms]).astype(np.float32)


def fabricate_dataset(*, with_truth: bool = True, box_size: int = BOX_SIZE, n: int = N_PARTICLES) -> Dataset:
    """A data set of ``n`` particles in twenty states, ten of them query particles."""
    generator = np.random.default_rng(1)
    volumes = blob_volumes(N_STATES, box_size)
    states = np.sort(generator.integers(0, N_STATES, n))
    states[:N_STATES] = np.arange(N_STATES)
    states.sort()
    rotations = rotations_from_quaternions(generator.standard_normal((n, 4)))
    shifts = generator.normal(0, 8, (n, 2))
    defocus = generator.uniform(8_000, 26_000, n)
    astigmatism = generator.gamma(2, 150, n)
    dihedral = 2 * np.pi * states / N_STATES
    truth = GroundTruth(
        states=states,
        volumes=IndexedVolumes(volumes, np.arange(N_STATES)),
        rotations=rotations,
        shifts=shifts,
        embedding=np.stack([np.cos(dihedral), np.sin(dihedral)], axis=1),
        variables={"dihedral": CollectiveVariable(dihedral, "rad", 2 * np.pi)},
    )
    ctf = Ctf.from_columns(
        n, defocus_u=defocus + astigmatism, defocus_v=defocus, defocus_angle=generator.uniform(0, np.pi, n)
    )
    projections = torch.as_tensor(np.stack([project_truth(truth, particle, PIXEL_SIZE) for particle in range(n)]))
    transfer = evaluate_ctf(ctf, frequency_grid(box_size, 2, pixel_size=PIXEL_SIZE))
    images = ifft_images(fft_images(projections) * transfer, box_size).numpy()
    images = images + generator.normal(0, images.std() * 3, images.shape)
    mean = volumes.mean(axis=0)
    return Dataset(
        particles=Particles(
            images=ArrayImages(images.astype(np.float32)),
            pixel_size=PIXEL_SIZE,
            ctf=ctf,
            rotations=rotations,
            shifts=shifts,
            mask=np.clip(mean / (0.2 * mean.max()), 0, 1),
        ),
        truth=truth if with_truth else None,
        queries=np.linspace(0, n - 1, 10).astype(int),
        card={
            "name": "blobs <on> a circle",
            "recipe": "igg-1d",
            "seed": 7,
            "version": "0.1.0",
            "parameters": {"n_states": N_STATES, "box_size": box_size, "snr": 0.1},
            "snr": 0.1,
            "snr_masked": 0.43,
            "sha256": {"particles.mrcs": "ab" * 32, "particles.star": "cd" * 32},
            "citation": "Nobody et al., Journal of Made-up Results 1 (2026)",
            "sources": "blobs <drawn> by hand; CC0 1.0",
            "mask": {"threshold": 0.2, "dilation_px": 0, "soft_edge_px": 3, "sha256": "ef" * 32},
        },
    )


def fabricate_rich_dataset() -> Dataset:
    """Everything a card can show: components, an assembly graph, names of states and two collective variables."""
    dataset = fabricate_dataset()
    truth = dataset.truth
    assert truth is not None
    occupancies = np.tril(np.ones((N_STATES, 6)))
    edges = np.stack([np.arange(N_STATES - 1), np.arange(1, N_STATES)], axis=1)
    names = (HOSTILE_NAME, *(f"step {state}" for state in range(1, N_STATES)))
    extra = {"length": CollectiveVariable(np.linspace(3, 9, len(truth)), "Å")}
    truth = replace(
        truth,
        variables={**truth.variables, **extra},
        components=StateComponents(tuple("abcdef"), occupancies, edges),
        state_names=names,
        state_facts=pd.DataFrame({"mass_kda": np.linspace(100, 900, N_STATES)}),
    )
    plan = {"recipe": "igg-1d", "preset": "tiny", "settings": {"snr": 0.25}, "seed": 4, "structures": []}
    return replace(dataset, truth=truth, card={**dataset.card, "title": "A <made-up> set", "plan": plan})


def fabricate_scores(queries: np.ndarray, half_shell: float, *, box_size: int = BOX_SIZE, seed: int = 0) -> Scores:
    """Scores from invented FSC curves that fall to one half at about shell ``half_shell``."""
    generator = np.random.default_rng(seed)
    shells = np.arange(box_size // 2)
    frequency = shells / box_size
    rows, scores = [], {}
    for mask, suffix, gain in (("none", "", 0.0), ("mask", "-masked", 1.5)):
        middle = half_shell + gain + generator.normal(0, 0.6, len(queries))
        curves = 1 / (1 + np.exp((shells[None] - middle[:, None]) / 1.3))
        curves[:, 0] = 1
        if half_shell > box_size:
            curves[:] = 1
        for particle, curve in zip(queries, curves, strict=True):
            rows.append(
                pd.DataFrame(
                    {"particle": particle, "mask": mask, "shell": shells, "frequency": frequency, "fsc": curve}
                )
            )
        auc = np.trapezoid(curves, frequency, axis=1)
        scores[f"fsc-auc{suffix}"] = _score(f"fsc-auc{suffix}", queries, auc, generator)
        name = f"fsc-auc-normalised{suffix}"
        scores[name] = _score(name, queries, auc / frequency[-1], generator)
        for level in (0.5, 0.143):
            below = curves < level
            crossed = below.any(axis=1)
            first = np.maximum(below.argmax(axis=1), 1)
            values = np.where(crossed, PIXEL_SIZE * box_size / first, 2 * PIXEL_SIZE)  # else only a bound
            name = f"resolution-{level}{suffix}"
            scores[name] = _score(name, queries, values, generator, crossed=crossed)
    return Scores(scores, {"fsc": pd.concat(rows, ignore_index=True)}, {"mask_sha256": "ef" * 32})


def _score(metric, queries, values, generator, *, crossed=None) -> Score:
    items = pd.DataFrame({"particle": queries, "value": values})
    kept = values[np.isfinite(values)]
    if crossed is not None:
        items["crossed"] = crossed
    if not len(kept):
        return Score(metric, float("nan"), float("nan"), float("nan"), len(values), items)
    reduce = np.mean if crossed is None else np.median
    samples = [reduce(generator.choice(kept, len(kept))) for _ in range(200)]
    low, high = np.percentile(samples, [2.5, 97.5])
    return Score(metric, float(reduce(kept)), float(low), float(high), len(values), items)


def fabricate_measures(dataset: Dataset, quality: float, *, seed: int = 0) -> Scores:
    """Scores and curves of every metric but the FSC, invented: ``quality`` 1 is the truth, 0 knows nothing."""
    generator = np.random.default_rng(seed)
    truth, wrong = dataset.truth, 1 - quality
    assert truth is not None
    n, states = len(truth), np.arange(N_STATES)
    scores: dict[str, Score] = {}

    def add(name: str, value: float, items: pd.DataFrame, spread: float = 0.03) -> None:
        scores[name] = Score(name, value, value - spread, value + spread, len(items), items)

    def by_particle(value: float) -> pd.DataFrame:
        return pd.DataFrame({"particle": np.arange(n), "value": value + generator.normal(0, 0.1, n)})

    for name, value in (("deviation-fsc-auc-normalised-masked", quality), ("variance-fsc-auc-normalised", 0.6)):
        items = pd.DataFrame({"particle": dataset.queries, "value": value + generator.normal(0, 0.05, 10)})
        add(name, value, items)
    add("conformation-fsc-auc-normalised", quality, pd.DataFrame({"state": states, "value": quality}))
    add("ari", quality, pd.DataFrame({"value": [quality]}))
    add("population-error", wrong, pd.DataFrame({"state": states, "value": wrong}))
    add("distribution-error", wrong, pd.DataFrame({"variable": ["dihedral"], "unit": ["rad"], "value": [wrong]}))
    for name in ("neighbourhood-similarity-area", "decodability-knn", "decodability-linear"):
        add(name, quality, by_particle(quality))
    add("imbalance-latent-to-truth", wrong, by_particle(wrong))
    add("rotation-error-median", 60 * wrong, by_particle(60 * wrong))
    shifts = pd.DataFrame({"particle": np.arange(n), "state": 0, "value": generator.gamma(2, 1 + 5 * wrong, n)})
    add("shift-error", float(shifts["value"].mean()), shifts)
    if truth.components is not None:
        names = list(truth.components.names)
        items = pd.DataFrame({"component": names, "value": 0.4 * wrong, "chance": 0.4, "prevalence": 0.5})
        add("occupancy-error", 0.4 * wrong, items)
    curves = _fabricate_curves(quality, wrong, states, generator)
    return Scores(scores, curves, {"not_measured": {"cost": "needs times that nobody took"}})


def _fabricate_curves(
    quality: float, wrong: float, states: np.ndarray, generator: np.random.Generator
) -> dict[str, pd.DataFrame]:
    radii = np.arange(1.0, 21.0)
    similarity = radii + quality * (100 - radii)
    edges = np.arange(0, 181, 5)
    bins = 2 * np.pi * np.arange(11) / 10
    spaces = (("truth", wrong), ("pose", 1.0), ("ctf", 0.97))
    imbalance = [
        {
            "against": against,
            "direction": direction,
            "points": points,
            "k": k,
            "value": value * (1 + k / 500) * (1 if points == "subsets" else 2),
        }
        for against, value in spaces
        for direction in (f"latent to {against}", f"{against} to latent")
        for points in ("subsets", "together")
        for k in (1, 3, 10, 30, 100)
    ]
    turned = (states + (0 if quality == 1 else 3)) % N_STATES
    recovered = 50 * (quality + wrong * generator.uniform(0, 2, 10))
    return {
        "neighbourhood-similarity": pd.DataFrame(
            {
                "radius": radii, "k": (2 * radii).astype(int), "attained": similarity, "similarity": 0.8 * similarity,
                "spread": 1.0, "published": 0.8 * similarity + 50 / radii, "tie_averaged": 0.8 * similarity,
                "ceiling": 80.0, "chance": radii, "attained_chance": radii * 1.2,
            }
        ),
        "information-imbalance": pd.DataFrame(imbalance),
        "decodability": pd.DataFrame(
            [
                {
                    "variable": "dihedral", "unit": "rad", "circular": True, "knn": quality, "knn_low": quality - 0.1,
                    "knn_high": quality, "linear": quality / 2, "linear_low": 0.0, "linear_high": quality,
                }
            ]
        ),
        "confusion": pd.DataFrame(
            {"state": states, "class": turned, "particles": 5, "matched": states, "majority": states}
        ),
        "populations": pd.DataFrame(
            {
                "state": states, "true": 0.05, "recovered": 0.05 * quality, "low": 0.04 * quality,
                "high": 0.06 * quality,
            }
        ),
        "profiles": pd.DataFrame(
            {
                "variable": "dihedral", "low": bins[:-1], "high": bins[1:], "true": 50, "recovered": recovered,
                "true_free_energy": 2.3, "free_energy": -np.log(recovered / recovered.sum()),
            }
        ),
        "rotation-errors": pd.DataFrame(
            {
                "low_deg": edges[:-1], "high_deg": edges[1:], "random": 1 / 36,
                "particles": generator.multinomial(100, np.full(36, 1 / 36)),
            }
        ),
    }  # fmt: skip


def _join(scores: Scores, more: Scores) -> Scores:
    return Scores(
        {**scores.scores, **more.scores}, {**scores.curves, **more.curves}, {**scores.context, **more.context}
    )


def fabricate_results(dataset: Dataset) -> list[tuple[Reconstruction, Scores]]:
    """Four controls, a classifier, a latent method with a hostile name, one without volumes, and a failure.

    Where there is truth, truth, consensus, the classifier and the latent method were scored by every metric.
    """
    generator = np.random.default_rng(2)
    box_size, queries, n = dataset.particles.box_size, dataset.queries, len(dataset.particles)
    volumes = blob_volumes(N_STATES, box_size)
    states = dataset.truth.states if dataset.truth is not None else np.arange(n) % N_STATES
    identity = np.eye(N_STATES)[states]

    def noisy(amount: float, index: Sequence[int] | np.ndarray, source: np.ndarray = volumes) -> IndexedVolumes:
        return IndexedVolumes(
            (source + amount * generator.standard_normal(source.shape)).astype(np.float32), np.asarray(index)
        )

    angles = 2 * np.pi * states / N_STATES
    latents = np.stack([2 * np.cos(angles), np.sin(angles), 0.2 * np.ones(n)], axis=1)
    latents = latents + generator.normal(0, 0.15, (n, 3))
    latents[3] = np.nan
    soft = generator.dirichlet(np.ones(4) * 0.2, n) * 0.2 + 0.8 * np.eye(4)[states * 4 // N_STATES]
    classes = np.stack([volumes[5 * k : 5 * k + 5].mean(axis=0) for k in range(4)])
    shells = 1 / (1 + np.exp((np.arange(box_size // 2 + 1) - 9) / 1.5))
    class_findings = (
        ClassVolumes(
            np.concatenate([classes, np.zeros_like(classes[:1])]),
            populations=np.array([0.2, 0.5, 0.1, 0.2, 0.0]),
            resolutions=np.array([20.0, 18.0, 25.0, 21.0, 192.0]),
        ),
        HalfSetFsc(np.stack([shells, shells**0.5, shells**2, shells, np.zeros_like(shells)]), of="class"),
        Convergence(
            tuple({"iteration": number, "objective": -9.0 / number} for number in (1, 2, 3)),
            "all 3 iterations <done>",
            "gain in <log-likelihood>",
        ),
    )
    results = [
        (
            Reconstruction(
                queries, IndexedVolumes(volumes, states[queries]), posteriors=identity, record=_record("truth")
            ),
            fabricate_scores(queries, 1e9, box_size=box_size),
        ),
        (
            Reconstruction(queries, noisy(0.25, states[queries]), record=_record("truth-backprojection", 12)),
            fabricate_scores(queries, 7.0, box_size=box_size, seed=1),
        ),
        (
            Reconstruction(
                queries,
                noisy(0.03, np.zeros(len(queries), int), volumes.mean(axis=0, keepdims=True)),
                record=_record("consensus", 3.2),
            ),
            fabricate_scores(queries, 7.8, box_size=box_size, seed=2),
        ),
        (
            Reconstruction(
                queries, noisy(0.3, generator.permutation(states[queries])), record=_record("shuffled-truth", 11)
            ),
            fabricate_scores(queries, 5.5, box_size=box_size, seed=3),
        ),
        (
            Reconstruction(
                queries,
                noisy(0.08, soft.argmax(axis=1)[queries], classes),
                posteriors=soft,
                findings=class_findings,
                notes=("1 of 5 classes has no <particles>.",),
                record=_record("3d-class", 95.0, settings={"n_classes": 4, "initialisation": "random-subset"}),
            ),
            fabricate_scores(queries, 7.6, box_size=box_size, seed=4),
        ),
        (
            Reconstruction(
                queries,
                noisy(0.12, states[queries]),
                latents=latents,
                findings=fabricate_linear_findings(volumes),
                record=_record(HOSTILE_NAME, 4210.0),
            ),
            fabricate_scores(queries, 8.2, box_size=box_size, seed=5),
        ),
        (Reconstruction(queries, posteriors=soft[:, ::-1], record=RunRecord("labels-only")), Scores({})),
        (
            Reconstruction(
                queries,
                record=_record("cryodrgn", None).with_(status="failed", error="CUDA out of memory <after epoch 3>"),
            ),
            Scores({}),
        ),
    ]
    if dataset.truth is None:
        return results
    for place, quality in ((0, 1.0), (2, 0.0), (4, 0.7), (5, 0.9)):
        reconstruction, scores = results[place]
        results[place] = reconstruction, _join(scores, fabricate_measures(dataset, quality, seed=place))
    return results


def fabricate_linear_findings(volumes: np.ndarray) -> tuple[Finding, ...]:
    """Mean, two components, a density in two latents and a path, of volumes (n, z, y, x) on a circle."""
    n_states, size = len(volumes), volumes.shape[-1]
    mean = volumes.mean(axis=0)
    angles = 2 * np.pi * np.arange(n_states) / n_states
    directions = np.stack([np.cos(angles), np.sin(angles)])
    components = np.tensordot(directions, volumes - mean, axes=1)
    norms = np.linalg.norm(components.reshape(2, -1), axis=1)
    axes = np.linspace(-3, 3, 15)
    radii = np.hypot(axes[:, None], axes[None])
    turn = np.linspace(0, np.pi, 14)
    return (
        Components(
            mean, (components / norms[:, None, None, None]).astype(np.float32), variances=2 * norms**2 / n_states**2
        ),
        HalfSetFsc(1 / (1 + np.exp((np.arange(size // 2 + 1) - 8) / 1.5))),
        LatentDensity(np.exp(-((radii - 1.5) ** 2)), np.stack([axes, axes])),
        LatentPath(
            np.stack([2 * np.cos(turn), np.sin(turn), 0 * turn], axis=1),
            volumes[np.linspace(0, n_states / 2, 14).astype(int)],
        ),
    )


def _record(method: str, wall_seconds: float | None = 0.1, settings: dict | None = None) -> RunRecord:
    cost = RunCost()
    if wall_seconds is not None:
        cost = RunCost(wall_seconds, cpu_seconds=1.7 * wall_seconds, peak_memory_bytes=3e8)
    return RunRecord(
        method=method,
        settings=settings or {},
        seed=0,
        dataset=DatasetIdentity("blobs <on> a circle", str(Path("data") / "blobs"), "ab" * 32),
        machine=Machine(hardware={"machine": "made-up", "cores": 2, "device": "cpu"}),
        cost=cost,
        version="0.1.0",
        command=f"cryobench run {method} data/blobs -o runs/{method}",
    )
