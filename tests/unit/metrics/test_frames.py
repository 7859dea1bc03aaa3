"""Volumes are compared in the frame of the truth: a turned, mirrored reconstruction scores as it did unmoved."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from cryobench._errors import FormatError, UnknownName
from cryobench.data import Dataset, IndexedVolumes, Reconstruction
from cryobench.io.folders.alignment_store import load_alignments, save_alignments
from cryobench.metrics import score
from cryobench.metrics.volumes.frames import Frame, PlacedVolumes, bring_into_frame, choose_mode, find_frame
from cryobench.rotations import rotations_from_quaternions
from cryobench.volumes import Alignment
from moved_blobs import invert
from toy import PIXEL_SIZE, toy_dataset

MOTION = Alignment(
    rotations_from_quaternions(np.array([[0.8, 0.3, -0.4, 0.33]]))[0],
    np.array([3.0, -5.0, 2.0]),
    True,
    1.0,
    None,
    4.0,
)
METRICS = ["per-image-fsc", "heterogeneity-fsc"]


@pytest.fixture(scope="module")
def toy() -> Dataset:
    return toy_dataset(n=60, n_queries=4)


def stack(dataset: Dataset) -> np.ndarray:
    assert dataset.truth is not None
    assert dataset.truth.volumes is not None
    return np.stack([dataset.truth.volumes.read(state) for state in range(3)])


def reconstructed(dataset: Dataset, volumes: np.ndarray, **parts) -> Reconstruction:
    assert dataset.truth is not None
    return Reconstruction(dataset.queries, IndexedVolumes(volumes, dataset.truth.states[dataset.queries]), **parts)


@pytest.fixture(scope="module")
def moved(toy: Dataset) -> Reconstruction:
    """The truth in a frame of its own."""
    return reconstructed(toy, np.stack([MOTION.apply(volume) for volume in stack(toy)]))


@pytest.fixture(scope="module")
def frame(toy: Dataset, moved: Reconstruction) -> Frame:
    return find_frame(moved, toy, "reconstruction")


def test_one_transform_brings_all_volumes_back(toy: Dataset, moved: Reconstruction, frame: Frame) -> None:
    plain, aligned = (score(moved, toy, METRICS, align=by) for by in ("none", frame))
    for name in ("fsc-auc-normalised-masked", "deviation-fsc-auc-normalised-masked"):
        assert plain[name].value < 0.7
        assert aligned[name].value > 0.97
    described = aligned.context["alignment"]
    assert (described["mode"], described["n"], described["n_mirrored"]) == ("reconstruction", 1, 1)
    assert described["score"] > 0.98
    assert "score" not in plain.context["alignment"]


def test_found_transforms_are_the_way_back_and_can_be_used_again(
    toy: Dataset, moved: Reconstruction, frame: Frame, tmp_path
) -> None:
    save_alignments(tmp_path / "a.json", frame.alignments, mode=frame.mode, why=frame.why)
    found, entries = load_alignments(tmp_path / "a.json")
    assert entries == {"mode": "reconstruction", "why": "requested"}
    back = invert(MOTION)
    assert found[0] is not None
    assert found[0].matrix == pytest.approx(back.matrix, abs=0.02)
    assert found[0].shift == pytest.approx(back.shift, abs=0.5)
    again, first = (score(moved, toy, METRICS[:1], align=by) for by in ([found[0]], frame))
    assert again["fsc-auc"].value == first["fsc-auc"].value


def test_volumes_apart_need_a_transform_each(toy: Dataset) -> None:
    volumes = stack(toy)
    states = toy.truth.states[toy.queries]
    rows = np.flatnonzero(np.r_[True, np.diff(states) != 0])[:2]
    volumes[states[rows[1]]] = MOTION.apply(volumes[states[rows[1]]])
    apart = reconstructed(replace(toy, queries=toy.queries[rows]), volumes)
    found = score(apart, toy, METRICS[:1], align="volume")
    assert score(apart, toy, METRICS[:1], align="none")["fsc-auc-normalised"].value < 0.9
    assert found["fsc-auc-normalised"].value > 0.97
    assert (found.context["alignment"]["n"], found.context["alignment"]["n_mirrored"]) == (2, 1)


def test_auto_aligns_only_where_rotations_are_not_those_given(
    toy: Dataset, moved: Reconstruction, monkeypatch
) -> None:
    given = toy.particles
    own = {"rotations": given.rotations[::-1], "shifts": given.shifts}
    assert choose_mode(moved, toy)[0] == "none"
    assert choose_mode(replace(moved, rotations=given.rotations, shifts=given.shifts), toy)[0] == "none"
    assert choose_mode(replace(moved, **own), toy)[0] == "reconstruction"
    blind = replace(toy, particles=replace(given, rotations=None, shifts=None))
    assert choose_mode(replace(moved, rotations=given.rotations, shifts=given.shifts), blind)[0] == "reconstruction"
    assert choose_mode(moved, blind)[0] == "none"
    monkeypatch.setattr("cryobench.metrics.volumes.frames.align_all", lambda *_, **__: [invert(MOTION)])
    aligned = score(replace(moved, **own), toy, METRICS[:1])
    assert aligned["fsc-auc-normalised"].value > 0.97
    assert "not those given" in aligned.context["alignment"]["why"]


def test_given_poses_in_another_frame_than_the_truth_are_aligned_whoever_repeats_them(
    toy: Dataset, moved: Reconstruction
) -> None:
    turned = toy.particles.rotations @ MOTION.rotation
    elsewhere = replace(toy, particles=replace(toy.particles, rotations=turned))
    repeated = replace(moved, rotations=turned, shifts=toy.particles.shifts)
    for reconstruction in (moved, repeated):
        mode, why = choose_mode(reconstruction, elsewhere)
        assert mode == "reconstruction"
        assert "another frame than the truth" in why


def test_refined_poses_cost_nothing_where_the_frame_has_not_moved(toy: Dataset) -> None:
    """Volumes of a method that moved given poses a little are aligned, and are left where they are."""
    refined = Rotation.from_rotvec(0.02 * np.random.default_rng(5).standard_normal((60, 3))).as_matrix()
    rotations = refined @ toy.particles.rotations
    found = reconstructed(toy, stack(toy), rotations=rotations, shifts=toy.particles.shifts)
    aligned = score(found, toy, METRICS[:1])
    described = aligned.context["alignment"]
    assert (described["mode"], described["n_mirrored"]) == ("reconstruction", 0)
    assert described["rotation_deg"] < 0.5
    assert described["shift"] < 0.1 * PIXEL_SIZE
    assert aligned["fsc-auc-normalised-masked"].value > 0.98


def test_metrics_without_volumes_are_not_aligned_for(toy: Dataset, moved: Reconstruction, monkeypatch) -> None:
    monkeypatch.setattr("cryobench.metrics.volumes.frames.align_all", lambda *_, **__: pytest.fail("aligned"))
    posteriors = np.eye(3)[toy.truth.states]
    assert score(replace(moved, posteriors=posteriors), toy, ["labels"], align="reconstruction")["ari"].value == 1


def test_alignment_does_not_depend_on_the_mask_that_is_scored_in(
    toy: Dataset, moved: Reconstruction, monkeypatch
) -> None:
    seen: list[np.ndarray] = []

    def align_all(volumes, references, *, mode, pixel_size, mask):
        seen.append(mask)
        return [invert(MOTION)]

    monkeypatch.setattr("cryobench.metrics.volumes.frames.align_all", align_all)
    half = toy.particles.mask.copy()
    half[:12] = 0
    whole, part = (score(moved, toy, METRICS[:1], align="reconstruction", mask=m) for m in (None, half))
    assert all(np.array_equal(mask, toy.particles.mask) for mask in seen)
    assert len(seen) == 2
    assert whole["fsc-auc"].value == part["fsc-auc"].value
    assert whole["fsc-auc-masked"].value != part["fsc-auc-masked"].value
    assert whole.context["mask_sha256"] != part.context["mask_sha256"]


def test_constant_volumes_stay_and_are_counted(toy: Dataset, monkeypatch) -> None:
    monkeypatch.setattr("cryobench.metrics.volumes.frames.align", lambda *_, **__: MOTION)
    state = int(toy.truth.states[toy.queries[0]])
    volumes = stack(toy)
    volumes[state] = 0
    frame = find_frame(reconstructed(toy, volumes), toy, "volume")
    n_empty = int((toy.truth.states[toy.queries] == state).sum())
    assert frame.describe()["n_left_in_place"] == n_empty
    assert frame.describe()["n"] == len(toy.queries) - n_empty > 0
    empty = reconstructed(toy, 0 * volumes, rotations=toy.particles.rotations[::-1], shifts=toy.particles.shifts)
    assert find_frame(empty, toy).mode == "none"
    with pytest.raises(ValueError, match="constant: nothing to align"):
        find_frame(empty, toy, "reconstruction")


def test_a_query_particle_in_no_class_is_aligned_with_none(toy: Dataset, monkeypatch) -> None:
    monkeypatch.setattr("cryobench.metrics.volumes.frames.align_all", lambda *_, **__: [MOTION])
    posteriors = np.eye(3)[toy.truth.states]
    posteriors[toy.queries[1]] = np.nan
    classified = reconstructed(toy, stack(toy), posteriors=posteriors)
    frame = find_frame(classified, toy, "class")
    assert [frame.of(item) is None for item in range(4)] == [False, True, False, False]
    assert frame.describe()["n_left_in_place"] == 1
    nobody = replace(classified, posteriors=np.full_like(posteriors, np.nan))
    assert find_frame(nobody, toy, "class").mode == "none"


def test_nothing_is_aligned_where_the_states_of_all_query_particles_are_unknown(toy: Dataset) -> None:
    states = toy.truth.states.copy()
    states[toy.queries] = -1
    partial = replace(toy, truth=replace(toy.truth, states=states))
    own = {"rotations": toy.particles.rotations[::-1], "shifts": toy.particles.shifts}
    found = reconstructed(toy, stack(toy), posteriors=np.eye(3)[toy.truth.states], **own)
    assert find_frame(found, partial).mode == "none"
    scores = score(found, partial)
    assert scores["ari"].value == 1
    assert "unlabelled" in scores.context["not_measured"]["per-image-fsc"]


def test_a_moved_volume_is_moved_once_for_all_that_are_equal(toy: Dataset, moved: Reconstruction) -> None:
    frame = find_frame(moved, toy, [invert(MOTION)])
    framed = bring_into_frame(moved, toy, frame)
    assert isinstance(framed.volumes, PlacedVolumes)
    read = [framed.volumes.read(item) for item in range(len(framed.volumes))]
    assert len(framed.volumes._known) == len(set(toy.truth.states[toy.queries].tolist())) < len(read)
    assert all(np.array_equal(framed.volumes.read(item), volume) for item, volume in enumerate(read))
    assert bring_into_frame(moved, toy, find_frame(moved, toy, "none")) is moved


def test_wrong_modes_numbers_and_files_are_refused(toy: Dataset, moved: Reconstruction, tmp_path) -> None:
    with pytest.raises(UnknownName, match="reconstruction"):
        score(moved, toy, align="reconstructoin")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="2 alignments were given for 4"):
        score(moved, toy, align=[MOTION, MOTION])
    for text, words in {
        '{"alignments": [{}]}': "schema is None",
        '{"schema": 1, "alignments": [{}]}': "does not hold",
    }.items():
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(FormatError, match=words):
            load_alignments(tmp_path / "a.json")


def test_another_grid_is_resampled_when_asked(toy: Dataset) -> None:
    volumes = np.pad(stack(toy), ((0, 0), *[(4, 4)] * 3))
    larger = reconstructed(toy, volumes)
    resampled = score(larger, toy, METRICS[:1], resample=True)
    assert resampled.context["resampled"]
    assert resampled["fsc-auc-normalised"].value > 0.999
    finer = replace(reconstructed(toy, stack(toy)), pixel_size=PIXEL_SIZE * 1.25)
    assert score(finer, toy, METRICS[:1], resample=True)["fsc-auc-normalised"].value < 0.9
