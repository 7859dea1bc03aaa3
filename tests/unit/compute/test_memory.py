"""Memory budgets: amounts in words, and what is said when something does not fit."""

import psutil
import pytest

from cryobench.compute import Compute, MemoryShortage, format_bytes, open_compute, parse_memory
from cryobench.compute import memory as memory_module
from cryobench.compute.memory import default_budget, reserve, usable_memory
from cryobench.methods.classification_3d.iterations import Classification
from cryobench.methods.classification_3d.settings import Classification3DSettings
from cryobench.reconstruction.engine import RunContext
from toy import toy_dataset


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("8GB", 8 * 10**9),
        ("8 gb", 8 * 10**9),
        ("500MB", 5 * 10**8),
        ("1.5 GiB", 3 * 2**29),
        ("2k", 2000),
        ("3Ti", 3 * 2**40),
        ("12345", 12345),
        ("1e9", 10**9),
        (8e9, 8 * 10**9),
        (7, 7),
    ],
)
def test_amounts_are_read(amount, expected):
    assert parse_memory(amount) == expected


@pytest.mark.parametrize("amount", ["", "much", "8 cows", "-8GB", "GB", "i", "8ib", "8 GB GB", "nan"])
def test_what_is_no_amount_is_refused(amount):
    with pytest.raises(ValueError, match="memory must be an amount such as 8GB"):
        parse_memory(amount)


@pytest.mark.parametrize("amount", ["0GB", 0, -1, float("nan")])
def test_nothing_is_no_budget(amount):
    with pytest.raises(ValueError, match="memory must be positive"):
        parse_memory(amount)


def test_bytes_are_written_for_people():
    assert format_bytes(999) == "999 bytes"
    assert format_bytes(1_640_000) == "1.64 MB"
    assert format_bytes(3.5e8) == "350 MB"
    assert format_bytes(8.24e9) == "8.24 GB"


def needed(count):
    return 1e9 + 5e8 * count


def test_what_fits_leaves_the_rest():
    assert reserve(4e9, needed, 3, items="classes", setting="n_classes") == pytest.approx(1.5e9)
    assert reserve(2.5e9, needed, 3, items="classes", setting="n_classes") == 0


def test_what_does_not_fit_says_what_would():
    with pytest.raises(MemoryShortage) as raised:
        reserve(3.2e9, needed, 20, items="classes of 128 px", setting="n_classes", advice="Or use a smaller box.")
    assert str(raised.value) == (
        "20 classes of 128 px take 11 GB, and the budget is 3.2 GB: n_classes=4 would fit. Or give --memory 11GB, if "
        "the machine has it. Or use a smaller box."
    )
    assert isinstance(raised.value, ValueError)


def test_the_amount_that_is_advised_would_do():
    """Whatever the sizes: what the message advises fits, and one more than it says would not."""
    for budget, count in ((3.2e9, 20), (1.6e9, 2), (2.0e9, 3), (9.99e9, 19)):
        with pytest.raises(MemoryShortage) as raised:
            reserve(budget, needed, count, items="classes", setting="n_classes")
        words = str(raised.value).split()
        fitting = int(next(word for word in words if word.startswith("n_classes=")).partition("=")[2])
        reserve(budget, needed, fitting, items="classes", setting="n_classes")
        with pytest.raises(MemoryShortage):
            reserve(budget, needed, fitting + 1, items="classes", setting="n_classes")
        advised = parse_memory(words[words.index("--memory") + 1].rstrip(","))
        reserve(advised, needed, count, items="classes", setting="n_classes")


def test_the_amount_advised_is_that_of_all_workers():
    """``--memory`` is divided among the workers, so each needs its part of what is advised."""
    compute = Compute(memory=2_000_000_000, workers=[None] * 4)  # pyright: ignore[reportArgumentType]
    with pytest.raises(MemoryShortage) as raised:
        reserve(
            compute.memory_per_worker, needed, 1, items="classes", setting="n_classes", n_workers=compute.n_workers
        )
    assert "take 1.5 GB, and the budget of each of 4 workers is 500 MB: not even one" in str(raised.value)
    words = str(raised.value).split()
    advised = Compute(memory=parse_memory(words[words.index("--memory") + 1].rstrip(",")), workers=compute.workers)
    reserve(advised.memory_per_worker, needed, 1, items="classes", setting="n_classes")


def test_a_method_says_whose_budget_does_not_hold_its_classes():
    compute = Compute(memory=4_000_000, workers=[None] * 4)  # pyright: ignore[reportArgumentType]
    with pytest.raises(MemoryShortage, match="of each of 4 workers is 1 MB"):
        Classification(toy_dataset(n=20).particles, Classification3DSettings(), RunContext(compute=compute))


def test_not_even_one_is_said():
    with pytest.raises(MemoryShortage, match=r"not even one would fit\. Or give --memory 1600MB"):
        reserve(1.2e9, lambda count: 1.1e9 + 5e8 * count, 1, items="volume", setting="box")


def test_the_default_is_a_part_of_what_the_process_may_use(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    limit.write_text("1000000\n")
    monkeypatch.setattr(memory_module, "_CGROUP_LIMITS", (str(limit), str(tmp_path / "absent")))
    assert usable_memory() == 1_000_000
    assert default_budget() == 700_000
    for unlimited in ("max\n", f"{2**63}\n"):
        limit.write_text(unlimited)
        assert 0 < usable_memory() <= psutil.virtual_memory().total


def test_a_compute_states_its_parts():
    with open_compute(device="cpu", memory="2GB") as compute:
        assert (compute.memory, compute.n_workers, compute.memory_per_worker) == (2 * 10**9, 1, 2e9)
        assert compute.kind() == {"device": "cpu", "precision": "float32"}
    with pytest.raises(ValueError, match="precision must be"):
        Compute(precision="float16")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="memory must be positive"):
        Compute(memory=0)
    with pytest.raises(ValueError, match="device must be cpu, cuda or auto"), open_compute(device="tpu"):
        pass
