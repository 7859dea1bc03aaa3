"""Runs as work folders of cryoDRGN: names and order of weights by its equations, and the program itself on them."""

import os
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from cryobench._errors import UnknownName
from cryobench.data import Dataset
from cryobench.imaging.half_disc import HalfDisc
from cryobench.importers.bring_in import import_results
from cryobench.io.formats.mrc import read_volume
from cryobench.io.programs.cryodrgn import read_poses
from cryobench.io.programs.cryodrgn_weights import name_decoder, name_encoder, order_pixels
from cryobench.io.store import load_reconstruction
from cryobench.methods import get_method
from cryobench.reconstruction.networks import CoordinateNetwork, ImageEncoder, NetworkShape
from cryobench.reconstruction.networks.spectrum import evaluate_spectrum
from cryobench.runs.exports import export_run
from cryobench.runs.run import run
from stored import store_dataset
from toy import toy_dataset

SIZE = 16


def arrays_of(network: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy() for name, value in network.state_dict().items()}


def perceptron(state: dict[str, np.ndarray], values: np.ndarray, prefix: str) -> np.ndarray:
    """cryoDRGN's: layers at even places of a list, ReLU after each but the last, ``linear`` ones add their input."""
    last = max(int(name.removeprefix(prefix).partition(".")[0]) for name in state if name.startswith(prefix))
    for place in range(0, last + 1, 2):
        linear = "linear." if f"{prefix}{place}.linear.weight" in state else ""
        found = values @ state[f"{prefix}{place}.{linear}weight"].T + state[f"{prefix}{place}.{linear}bias"]
        values = found + values if linear else found
        values = np.maximum(values, 0) if place < last else values
    return values


def decode(state: dict[str, np.ndarray], points: np.ndarray, latent: np.ndarray, domain: str) -> np.ndarray:
    """cryoDRGN's Hartley values at points (p, 3) in cycles per pixel."""
    flips = np.where(points[:, 2:] > 0, -1, 1) if domain == "fourier" else np.ones((len(points), 1))
    phases = (points * flips) @ state["rand_freqs"].T * (SIZE // 2)
    features = [np.sin(phases), np.cos(phases), np.broadcast_to(latent, (len(points), len(latent)))]
    found = perceptron(state, np.concatenate(features, axis=1), "decoder.main.")
    return found[:, 0] - flips[:, 0] * found[:, 1] if domain == "fourier" else found[:, 0]


@pytest.mark.parametrize("domain", ["fourier", "hartley"])
@pytest.mark.parametrize("width", [20, 6 * 4 + 3], ids=["narrow", "as wide as its input"])
def test_renamed_decoders_give_the_same_values_by_cryodrgns_equations(domain, width, rng):
    network = CoordinateNetwork(NetworkShape(SIZE, 3, width, 2, domain, 4))
    points = rng.uniform(-0.5, 0.5, (50, 3)).astype(np.float32)
    latent = rng.standard_normal(3).astype(np.float32)
    with torch.no_grad():
        parts = evaluate_spectrum(network, torch.from_numpy(points), torch.from_numpy(latent)[None])
        ours = torch.cat([found[0] for _, found in parts]).numpy()
    theirs = decode(name_decoder(arrays_of(network), SIZE), points.astype(np.float64), latent, domain)
    np.testing.assert_allclose(ours[:, 0] - ours[:, 1], theirs, atol=1e-5)


def make_image(values: np.ndarray) -> np.ndarray:
    """cryoDRGN's image (D + 1, D + 1) of Hartley values at the half-disc and then at its mates."""
    image = np.full((SIZE + 1, SIZE + 1), np.nan)
    x, y = HalfDisc(SIZE, SIZE // 2).frequencies[1:].T
    for sign, part in zip((1, -1), np.split(values, 2), strict=True):
        image[sign * y + SIZE // 2, sign * x + SIZE // 2] = part
    return image


@pytest.mark.parametrize("width", [24, 196], ids=["narrow", "as wide as an image"])
def test_renamed_encoders_give_the_same_latents_on_cryodrgns_image(width, rng):
    n_values = len(order_pixels(SIZE))
    encoder = ImageEncoder(n_values, 3, width=width, depth=2)
    values = rng.standard_normal(n_values).astype(np.float32)
    image = make_image(values)
    axis = np.linspace(-0.5, 0.5, SIZE + 1)
    disc = axis**2 + axis[:, None] ** 2 <= 0.25
    disc[SIZE // 2, SIZE // 2] = False
    with torch.no_grad():
        ours = torch.cat(encoder(torch.from_numpy(values)[None]), dim=1)[0].numpy()
    theirs = perceptron(name_encoder(arrays_of(encoder), SIZE), image[disc][None], "main.")[0]
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("size", [8, 10, 16, 30])
def test_the_order_of_pixels_is_one_to_one_and_mates_lie_opposite(size):
    order = order_pixels(size)
    np.testing.assert_array_equal(np.sort(order), np.arange(len(order)))
    half = len(order) // 2
    np.testing.assert_array_equal((order + half) % len(order), order[::-1])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return store_dataset(toy_dataset(size=SIZE, n=60), tmp_path_factory.mktemp("export") / "data")


@pytest.fixture(scope="module")
def runs(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each method, and one of cryodrgn in the Hartley domain, in float32."""
    folder = tmp_path_factory.mktemp("runs")
    for name, method, changes in (
        ("fourier", "cryodrgn", {}),
        ("hartley", "cryodrgn", {"domain": "hartley"}),
        ("table", "cryodrgn-ai-fixed", {}),
        ("searched", "cryodrgn2", {}),
        ("searched-table", "cryodrgn-ai", {}),
    ):
        settings = {**get_method(method).small, "epochs": 2, **changes}
        run(method, dataset, folder / name, settings=settings, precision="float32", memory="1GB")
    run("consensus", dataset, folder / "consensus")
    return {path.name: path for path in folder.iterdir() if path.is_dir()}


@pytest.mark.parametrize("name", ["fourier", "table"])
def test_the_folder_has_what_cryodrgn_takes(name, runs, dataset, tmp_path):
    lines = export_run(runs[name], tmp_path / "out", to="cryodrgn")
    assert lines[0] == f"cryodrgn analyze {tmp_path / 'out'} 2"
    made = load_reconstruction(runs[name])
    config = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    assert config["lattice_args"] == {"D": SIZE + 1, "extent": 0.5, "ignore_DC": True}
    assert config["dataset_args"]["norm"] == [0.0, float(made.model["scale"])]
    assert config["dataset_args"]["invert_data"] is (dataset.particles.sign == -1)
    for part in ("poses", "ctf", "particles"):
        assert Path(config["dataset_args"][part]).exists()
    with (tmp_path / "out" / "z.2.pkl").open("rb") as file:
        np.testing.assert_array_equal(pickle.load(file), made.latents)
        if name == "fourier":
            np.testing.assert_array_equal(pickle.load(file), made.model["log_variances"])
        assert not file.read()
    state = torch.load(tmp_path / "out" / "weights.2.pkl", weights_only=True)
    assert state["epoch"] == 2
    assert {key.partition(".main.")[0] for key in state["model_state_dict"]} == (
        {"encoder", "decoder.decoder", "decoder.rand_freqs"} if name == "fourier" else {"decoder", "rand_freqs"}
    )


@pytest.mark.parametrize("name", ["searched", "searched-table"])
def test_poses_that_were_found_are_exported_and_imported(name, runs, dataset, tmp_path):
    made = load_reconstruction(runs[name])
    export_run(runs[name], tmp_path / "out", to="cryodrgn")
    pixel = dataset.particles.pixel_size
    rotations, shifts = read_poses(tmp_path / "out" / "poses.pkl", box_size=SIZE, pixel_size=pixel)
    np.testing.assert_allclose(rotations, made.rotations, atol=1e-6)
    np.testing.assert_allclose(shifts, made.shifts, atol=1e-5)
    back = import_results("cryodrgn", tmp_path / "out", dataset, tmp_path / "back")
    np.testing.assert_allclose(back.latents, made.latents, atol=1e-6)
    np.testing.assert_allclose(back.rotations, made.rotations, atol=1e-6)
    np.testing.assert_allclose(back.shifts, made.shifts, atol=1e-4)
    assert back.record.priors.poses == "estimated"
    theirs, ours = back.volumes.read(0), made.volumes.read(0)
    assert np.abs(theirs - ours).max() < 1e-4 * np.abs(ours).max()


def test_a_run_without_a_network_is_refused_and_says_what_it_has(runs, tmp_path):
    with pytest.raises(
        ValueError, match=r"a run of consensus and has posteriors, volumes and no decoder: cryoDRGN reads"
    ):
        export_run(runs["consensus"], tmp_path / "out", to="cryodrgn")
    with pytest.raises(UnknownName, match=r"no export form named 'cryodrg'. Did you mean 'cryodrgn'"):
        export_run(runs["fourier"], tmp_path / "out", to="cryodrg")
    assert not list(tmp_path.iterdir())


# With the program itself.


def ask(peer: Path, *words: object) -> None:
    done = subprocess.run(
        [peer / "bin" / "cryodrgn", *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def peer() -> Path:
    """Environment with cryoDRGN 4.3.1, named by CRYOBENCH_CRYODRGN."""
    folder = os.environ.get("CRYOBENCH_CRYODRGN")
    if not folder or not Path(folder, "bin", "cryodrgn").exists():
        pytest.skip("set CRYOBENCH_CRYODRGN to an environment with cryoDRGN (benchmarks/peers/make_cryodrgn_env.sh)")
    return Path(folder)


def shared_part(volume: np.ndarray) -> np.ndarray:
    """Spectrum within the ball but for the zero frequency and the Nyquist frequency on the axes."""
    spectrum = np.fft.fftshift(np.fft.fftn(volume))
    axis = np.arange(SIZE) - SIZE // 2
    squares = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2
    return spectrum[(squares > 0) & (squares < (SIZE // 2) ** 2)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fourier", "hartley", "table"])
def test_cryodrgn_makes_the_same_volume(name, peer, runs, tmp_path):
    out = tmp_path / "out"
    export_run(runs[name], out, to="cryodrgn")
    made = load_reconstruction(runs[name])
    particle = int(made.queries[0])
    latent = [f"{value:.9g}" for value in made.latents[particle]]
    words = ["-c", out / "config.yaml", "-o", tmp_path / "volume.mrc", "-z", *latent]
    ask(peer, "eval_vol", out / "weights.2.pkl", *words)
    theirs, ours = shared_part(read_volume(tmp_path / "volume.mrc")[0]), shared_part(made.volumes.read(0))
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(ours).max()
    assert np.linalg.norm(ours - theirs) < 1e-4 * np.linalg.norm(ours)


@pytest.mark.slow
def test_cryodrgns_encoder_finds_the_same_latents_in_the_images(peer, runs, dataset, tmp_path):
    out = tmp_path / "out"
    export_run(runs["fourier"], out, to="cryodrgn")
    table = dataset.path / "particles.star"
    files = ["--poses", out / "poses.pkl", "--ctf", out / "ctf.pkl", "--datadir", dataset.path]
    inverted = [] if dataset.particles.sign == -1 else ["--uninvert-data"]
    target = ["-c", out / "config.yaml", "-o", tmp_path / "loss.pkl", "--out-z", tmp_path / "z.pkl"]
    ask(peer, "eval_images", table, out / "weights.2.pkl", *target, *files, *inverted)
    with (tmp_path / "z.pkl").open("rb") as file:
        theirs = pickle.load(file)
    ours = load_reconstruction(runs["fourier"]).latents
    # The program keeps the background of images, which a window cuts out of them.
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fourier", "table"])
def test_cryodrgn_analyses_the_folder(name, peer, runs, tmp_path):
    out = tmp_path / "out"
    export_run(runs[name], out, to="cryodrgn")
    ask(peer, "analyze", out, 2, "--skip-umap", "--ksample", 4)
    assert len(list((out / "analyze.2" / "kmeans4").glob("vol_*.mrc"))) == 4
    assert (out / "analyze.2" / "learning_curve_epoch2.png").exists()
