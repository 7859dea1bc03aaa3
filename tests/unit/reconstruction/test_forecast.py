import pytest

from cryobench._progress import Named
from cryobench.reconstruction.engine import forecast
from cryobench.reconstruction.engine.forecast import Forecast


class Notes(list):
    def note(self, text: str) -> None:
        self.append(text)


def test_long_work_is_forecast_once_from_steps_after_the_first(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(forecast.time, "monotonic", lambda: now[0])
    notes = Notes()
    watched = Forecast("columns", 100, notes)
    for done, seconds in ((1, 50.0), (2, 10.0), (3, 10.0)):
        now[0] += seconds
        watched.look(done)
    assert len(notes) == 1
    assert notes[0].startswith("columns: about 16 minutes left")  # 98 steps of 10 s; the first took 50


def test_short_work_is_not_spoken_of(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(forecast.time, "monotonic", lambda: now[0])
    notes = Notes()
    watched = Forecast("columns", 20, notes, measured=3.0)
    for done in range(1, 21):
        now[0] += 1.0
        watched.look(done)
    assert notes == []


def test_a_forecast_is_repeated_when_later_steps_take_longer(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(forecast.time, "monotonic", lambda: now[0])
    notes = Notes()
    watched = Forecast("classes", 200, notes)
    for done in range(1, 101):
        now[0] += 10.0
        watched.look(done)
    assert [note.split(",")[0] for note in notes] == ["classes: about 33 minutes left"]
    for done in range(101, 121):
        now[0] += 30.0
        watched.look(done)
    assert notes[-1] == "classes: about 48 minutes left, as later steps take longer than the first."  # 96 of 30 s
    assert len(notes) <= 3, "one window may hold both kinds of steps"


def test_short_steps_that_become_long_are_forecast(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(forecast.time, "monotonic", lambda: now[0])
    notes = Notes()
    watched = Forecast("classes", 100, notes)
    for done in range(1, 51):
        now[0] += 1.0 if done < 10 else 60.0
        watched.look(done)
    assert notes[-1].startswith("classes: about 89 minutes left")  # 89 of 60 s
    assert len(notes) <= 2


@pytest.mark.parametrize("advice", ["", "--preset laptop takes less."])
def test_the_advice_of_a_run_is_its_last_sentence(monkeypatch, advice):
    now = [0.0]
    monkeypatch.setattr(forecast.time, "monotonic", lambda: now[0])
    notes = Notes()
    watched = Forecast("columns", 100, Named(notes, "mine", advice=advice))
    for done in (1, 2):
        now[0] += 60.0
        watched.look(done)
    assert notes[0].startswith("mine: columns: about 98 minutes left")
    assert notes[0].endswith(advice or "resumes.")
