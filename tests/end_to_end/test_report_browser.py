"""The report in a real browser: every script runs, every plot shows something, what can be operated does its work.

Run with ``-m browser``; needs chromium (on PATH, or named by CRYOBENCH_CHROMIUM). Opened from disk, and no name
resolves, so that a page which needs the network fails here.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chromium import NO_ANSWER, Page, find_chromium
from cryobench.report import write_report
from fabricated import HOSTILE_NAME, fabricate_results, fabricate_rich_dataset

pytestmark = [
    pytest.mark.browser,
    # On a busy machine chromium now and then stops drawing frames for good, while its scripts still run.
    pytest.mark.flaky(reruns=3, only_rerun=NO_ANSWER),
]

SYMBOLS, LINES, RECTANGLES, SHAPES = (f".mark-{kind} > path" for kind in ("symbol", "line", "rect", "shape"))
# Marks in the SVG of each kind of plot, page by page.
DRAWN = {
    "index.html": {
        "forest": SYMBOLS, "cost": SYMBOLS, "fsc": LINES, "classes": RECTANGLES, "latents": SYMBOLS,
        "lines": ".role-mark > path", "dots": SYMBOLS, "plane": SYMBOLS, "grid": RECTANGLES, "density": RECTANGLES,
    },
    "card.html": {
        "states": RECTANGLES, "spectra": LINES, "snr": LINES, "defocus": RECTANGLES, "astigmatism": RECTANGLES,
        "ctf": LINES, "directions": SHAPES, "psi": RECTANGLES, "shifts": SYMBOLS, "variable": RECTANGLES,
        "pair": SYMBOLS, "occupancies": RECTANGLES, "assembly": SYMBOLS,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    dataset = fabricate_rich_dataset()
    return write_report(dataset, fabricate_results(dataset), tmp_path_factory.mktemp("report") / "site")


@pytest.fixture(scope="module")
def browser() -> str:
    program = find_chromium()
    if program is None:
        pytest.skip("no chromium on PATH: install it, or name it in CRYOBENCH_CHROMIUM")
    return program


@pytest.fixture
def page(browser, report) -> Iterator[Page]:
    with Page(browser) as opened:
        _open(opened, report)
        yield opened
        assert opened.problems == []
        assert [url for url in opened.requests if not url.startswith(("file:", "data:", "blob:"))] == []


def _open(page: Page, report: Path) -> None:
    page.open(report)
    page.wait_for("document.documentElement.dataset.ready === 'yes'")


def _visit(page: Page, selector: str) -> None:
    page.run(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center', behavior: 'instant'}})")


def _draw_everything(page: Page) -> None:
    page.run("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    height = page.run("document.documentElement.scrollHeight")
    for top in range(0, height, 500):
        page.run(f"window.scrollTo({{top: {top}, behavior: 'instant'}})")
        page.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait_for("document.querySelectorAll('.plot:not([data-drawn])').length === 0")
    _draw_surfaces(page)


def _draw_surfaces(page: Page) -> None:
    _visit(page, "#surface-grid")
    page.wait_for(
        "document.querySelectorAll('#surface-grid .scene').length > 1 && "
        "document.querySelectorAll('#surface-grid .scene:not([data-drawn])').length === 0"
    )


def _picture(page: Page, selector: str, path: Path) -> np.ndarray:
    """Pixels (y, x, 3) of an element as they are on the screen."""
    _visit(page, selector)
    page.run("new Promise((done) => setTimeout(done, 400))")
    box = page.run(
        f"(({{x, y, width, height}}) => ({{x, y, width, height}}))"
        f"(document.querySelector({selector!r}).getBoundingClientRect())"
    )
    return np.asarray(Image.open(page.screenshot(path, box=box)))[..., :3] / 255


def _camera(page: Page, scene: int) -> list[float]:
    """Azimuth and height (radian) and distance of the eye in a scene."""
    return page.run(
        "(({azimuth, height, distance}) => [azimuth, height, distance])"
        f"(document.querySelectorAll('#surface-grid .scene')[{scene}].camera())"
    )


def _n_scenes(page: Page) -> int:
    return page.run("document.querySelectorAll('#surface-grid .scene canvas').length")


@pytest.mark.parametrize("name", DRAWN)
def test_every_plot_is_drawn_with_marks(page, report, name):
    _open(page, report.with_name(name))
    _draw_everything(page)
    kinds = page.run("[...document.querySelectorAll('.plot')].map((plot) => plot.dataset.plot)")
    assert set(kinds) == set(DRAWN[name])
    for index, kind in enumerate(kinds):
        count = page.run(
            f"document.querySelectorAll('.plot')[{index}].querySelectorAll({DRAWN[name][kind]!r}).length"
        )
        assert count > 0, f"plot {kind} ({index}) is empty"
    assert page.run("document.querySelectorAll('.plot .failed').length") == 0


@pytest.mark.parametrize("name", DRAWN)
def test_every_picture_has_loaded(page, report, name):
    _open(page, report.with_name(name))
    page.run("document.querySelectorAll('img').forEach((image) => { image.loading = 'eager'; })")
    _draw_everything(page)
    page.run("document.querySelectorAll('.slice-set').forEach((set) => { set.hidden = false; })")
    page.wait_for("[...document.images].every((image) => image.complete)")
    assert page.run("document.images.length") > 50
    assert page.run("[...document.images].filter((image) => !image.naturalWidth).map((image) => image.src)") == []


def test_pictures_have_their_height_before_they_are_loaded(browser, report, tmp_path):
    copy = tmp_path / "waiting"
    shutil.copytree(report.parent, copy)
    shutil.rmtree(copy / "assets" / "findings")
    with Page(browser) as page:
        _open(page, copy / "index.html")
        sizes = page.run(
            "[...document.querySelectorAll('.strip img[loading=lazy]')].filter((image) => !image.complete)"
            ".map((image) => [image.clientWidth, image.clientHeight])"
        )
    assert len(sizes) > 3
    assert all(height > 0.3 * width for width, height in sizes)


def test_names_do_not_become_markup(page):
    assert page.run("document.querySelectorAll('img[src=x]').length") == 0
    assert page.run(f"[...document.querySelectorAll('a')].some((link) => link.textContent === {HOSTILE_NAME!r})")
    _visit(page, ".plot[data-plot=forest]")
    page.wait_for("document.querySelector('.plot[data-plot=forest]').textContent.includes('<img src=x')")
    assert page.run("document.querySelectorAll('img[src=x]').length") == 0


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [
        ("index.html", 390, "dark"), ("index.html", 820, "light"), ("index.html", 1440, "dark"),
        ("card.html", 390, "light"), ("card.html", 1440, "dark"),
    ],
)  # fmt: skip
def test_the_page_fits_windows_of_every_width(page, report, name, width, scheme):
    _open(page, report.with_name(name))
    page.resize(width, 800)
    page.prefer(scheme)
    _draw_everything(page)
    assert page.run("document.documentElement.scrollWidth") <= width
    background = page.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (sum(background) < 200) == (scheme == "dark")


@pytest.mark.parametrize("width", [390, 1280])
def test_a_very_long_name_does_not_widen_the_page(browser, report, tmp_path, width):
    copy = tmp_path / "long"
    shutil.copytree(report.parent, copy)
    name = f"cryodrgn ({'very_long_name_of_a_folder_' * 9})"
    for file in ("index.html", "assets/surfaces.js"):
        text = (copy / file).read_text(encoding="utf-8")
        for before, after in ((">", "<"), ('"', '"'), (" ", ", ")):
            text = text.replace(f"{before}3d-class{after}", f"{before}{name}{after}")
        (copy / file).write_text(text, encoding="utf-8")
    with Page(browser, width=width) as page:
        _open(page, copy / "index.html")
        page.run("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        assert page.run("document.body.innerText").count(name) > 10
        assert page.run("document.documentElement.scrollWidth") <= width


def test_surfaces_are_seen_in_their_scenes(page, tmp_path):
    _draw_surfaces(page)
    assert _n_scenes(page) == 6
    for index in range(6):
        picture = _picture(page, f"#surface-grid .surface:nth-child({index + 1}) .scene", tmp_path / "scene.png")
        background = picture[2, 2]
        assert (np.abs(picture - background).max(axis=-1) > 0.15).mean() > 0.02, f"scene {index} is empty"


def test_on_paper_scenes_are_seen_and_boards_are_whole(page, tmp_path):
    _draw_surfaces(page)
    page.resize(1480, 1000)  # what A3 has between its margins
    page.send("Emulation.setEmulatedMedia", media="print")
    for index in range(6):
        picture = _picture(page, f"#surface-grid .surface:nth-child({index + 1}) .scene", tmp_path / "scene.png")
        assert (np.abs(picture - picture[2, 2]).max(axis=-1) > 0.15).mean() > 0.02, f"scene {index} is empty"
    assert page.run(
        "[...document.querySelectorAll('.scroll')].filter((each) => each.scrollWidth > each.clientWidth + 1).length"
    ) == 0  # fmt: skip


NO_WEBGL = """
const canvas = HTMLCanvasElement.prototype, whole = canvas.getContext;
canvas.getContext = function (kind, ...more) {
  return kind.startsWith("webgl") ? null : whole.call(this, kind, ...more);
};
"""


def test_without_webgl_pictures_stand_for_scenes(browser, report):
    with Page(browser) as page:
        page.send("Page.addScriptToEvaluateOnNewDocument", source=NO_WEBGL)
        _open(page, report)
        _visit(page, "#surface-grid")
        page.wait_for(
            "[...document.querySelectorAll('#surface-grid img')].filter((img) => img.naturalWidth).length > 4"
        )
        pictures = page.run("document.querySelectorAll('#surface-grid img').length")
        page.run("document.querySelector('#surface-runs input:checked').click()")
        page.run("new Promise((done) => setTimeout(done, 300))")
        assert page.run("document.querySelectorAll('#surface-grid img').length") == pictures - 1
        assert "no WebGL" in page.run("document.getElementById('surface-enclosed').textContent")
        assert page.problems == []


def test_the_mean_is_moved_along_the_component_that_is_chosen(page):
    _visit(page, "#moved-grid")
    drawn = "document.querySelectorAll('#moved-grid .scene[data-drawn]').length"
    page.wait_for(f"{drawn} === 3")
    assert page.run("document.querySelectorAll('#moved-query option').length") == 2
    shape = "[...document.querySelectorAll('#moved-grid .scene')].map((scene) => scene.mesh.places.join())"
    minus, mean, plus = page.run(shape)
    assert len({minus, mean, plus}) == 3
    page.run(
        "(() => { const box = document.getElementById('moved-query'); box.selectedIndex = 1;"
        " box.dispatchEvent(new Event('change')); })()"
    )
    page.wait_for(f"{shape}[0] !== {minus!r}")
    assert page.run(shape)[1] == mean
    words = page.run("document.getElementById('moved-enclosed').textContent")
    page.run(
        "(() => { const slider = document.getElementById('moved-level'); slider.value = 0;"
        " slider.dispatchEvent(new Event('input')); })()"
    )
    page.wait_for(f"document.getElementById('moved-enclosed').textContent !== {words!r}")


def test_states_of_the_card_are_seen_and_more_can_be_chosen(page, report, tmp_path):
    _open(page, report.with_name("card.html"))
    _draw_surfaces(page)
    assert _n_scenes(page) == 4
    for index in range(4):
        picture = _picture(page, f"#surface-grid .surface:nth-child({index + 1}) .scene", tmp_path / "scene.png")
        assert (np.abs(picture - picture[2, 2]).max(axis=-1) > 0.15).mean() > 0.01, f"scene {index} is empty"
    page.run("document.querySelector('.chooser').open = true")
    page.run("document.querySelector('#surface-runs input:not(:checked)').click()")
    page.wait_for("document.querySelectorAll('#surface-grid .scene[data-drawn]').length === 5")
    notes = page.run("[...document.querySelectorAll('#surface-grid .note')].map((note) => note.textContent)")
    assert all(note.endswith("nm³") for note in notes)


def test_the_level_slider_changes_every_surface(page, tmp_path):
    _draw_surfaces(page)
    sizes = "[...document.querySelectorAll('#surface-grid .scene')].map((scene) => scene.mesh.faces.length)"
    words = "document.getElementById('surface-enclosed').textContent"
    first, said = page.run(sizes), page.run(words)
    before = _picture(page, "#surface-grid .scene", tmp_path / "before.png")
    page.run(
        "(() => { const slider = document.getElementById('surface-level'); slider.value = 0;"
        " slider.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )
    page.wait_for(f"{sizes}.every((size, i) => size !== {first}[i])")
    assert page.run(words) != said
    after = _picture(page, "#surface-grid .scene", tmp_path / "after.png")
    assert (np.abs(after - before).max(axis=-1) > 0.1).mean() > 0.01


def test_dragging_one_surface_turns_all(page, tmp_path):
    _draw_surfaces(page)
    n_scenes = _n_scenes(page)
    start = [_camera(page, scene) for scene in range(n_scenes)]
    before = _picture(page, "#surface-grid .surface:nth-child(2) .scene", tmp_path / "before.png")
    _visit(page, "#surface-grid .scene")
    x, y = page.run(
        "(({x, y, width, height}) => [x + width / 2, y + height / 2])"
        "(document.querySelector('#surface-grid .scene').getBoundingClientRect())"
    )
    page.drag((x, y), (x + 90, y + 40))
    page.run("new Promise((done) => setTimeout(done, 500))")
    turned = [_camera(page, scene) for scene in range(n_scenes)]
    assert np.linalg.norm(np.subtract(turned[0], start[0])) > 0.2
    for scene in range(1, n_scenes):
        assert turned[scene] == pytest.approx(turned[0], abs=1e-3), f"scene {scene} did not follow"
    after = _picture(page, "#surface-grid .surface:nth-child(2) .scene", tmp_path / "after.png")
    assert (np.abs(after - before).max(axis=-1) > 0.1).mean() > 0.01
    page.run("document.getElementById('surface-reset').click()")
    page.run("new Promise((done) => setTimeout(done, 500))")
    assert _camera(page, 1) == pytest.approx(start[1], abs=1e-3)


def test_another_query_particle_shows_other_surfaces_and_slices(page):
    _draw_surfaces(page)
    first = page.run("Array.from(document.querySelector('#surface-grid .scene').mesh.places.slice(0, 50))")
    choose = (
        "((id) => { const box = document.getElementById(id); box.selectedIndex = 2;"
        " box.dispatchEvent(new Event('change')); })"
    )
    page.run(f"{choose}('surface-query')")
    page.wait_for(
        "JSON.stringify(Array.from(document.querySelector('#surface-grid .scene').mesh.places.slice(0, 50)))"
        f" !== JSON.stringify({first})"
    )
    page.run(f"{choose}('slice-query')")
    shown = "[...document.querySelectorAll('.slice-set')].map((set) => !set.hidden)"
    assert page.run(shown) == [False, False, True, False, False, False]


def test_surfaces_that_load_late_do_not_replace_those_chosen_since(page):
    _draw_surfaces(page)
    meshes = "[...document.querySelectorAll('#surface-grid .scene')].map((scene) => scene.mesh.places.join())"
    first = page.run(meshes)
    page.run(
        "(() => { const box = document.getElementById('surface-query');"
        " for (const index of [1, 0]) { box.selectedIndex = index; box.dispatchEvent(new Event('change')); } })()"
    )
    page.wait_for("[...document.scripts].filter((script) => script.src.includes('/surfaces/')).length === 12")
    page.run("new Promise((done) => setTimeout(done, 500))")
    assert page.run(meshes) == first


def test_a_run_without_a_volume_at_the_first_query_is_shown_at_the_others(browser, report, tmp_path):
    copy = tmp_path / "partial"
    shutil.copytree(report.parent, copy)
    script = copy / "assets" / "surfaces.js"
    call, _, value = script.read_text(encoding="utf-8").partition("(")
    sets = json.loads(value.removesuffix(");\n"))
    left_out = sets[0]["panels"].pop(1)
    script.write_text(f"{call}({json.dumps(sets)});\n", encoding="utf-8")
    scene = f"document.querySelector('#surface-grid [data-run=\"{left_out['slug']}\"] .scene')"
    with Page(browser) as page:
        _open(page, copy / "index.html")
        _draw_surfaces(page)
        assert page.run(f"{scene} === null")
        page.run(
            "(() => { const box = document.getElementById('surface-query'); box.selectedIndex = 1;"
            " box.dispatchEvent(new Event('change')); })()"
        )
        page.wait_for(f"{scene}?.mesh !== undefined", seconds=10)
        assert page.problems == []


def test_leaderboard_sorts_with_the_unmeasured_last(page):
    rows = "#leaderboard .board tbody:not(.controls) tr:not(.group) th a"
    names = f"[...document.querySelectorAll('{rows}')].map((link) => link.textContent)"
    click = "document.querySelectorAll('#leaderboard .board thead button')[{}].click()"
    assert page.run(names) == [HOSTILE_NAME, "3d-class", "labels-only", "cryodrgn"]
    page.run(click.format(2))
    assert page.run(names) == ["3d-class", HOSTILE_NAME, "labels-only", "cryodrgn"]
    heads = "[...document.querySelectorAll('#leaderboard .board thead th button')].map((head) => head.textContent)"
    place = page.run(heads).index("Imbalance to truth")
    page.run(click.format(place))
    assert page.run(names)[:2] == [HOSTILE_NAME, "3d-class"]
    assert (
        page.run(f"document.querySelectorAll('#leaderboard .board thead th')[{place}].getAttribute('aria-sort')")
        == "ascending"
    )


def test_the_board_of_a_metric_sorts_by_itself(page):
    page.run("document.getElementById('metric-labels').open = true")
    rows = "#metric-labels .controls tr:not(.group) th a"
    names = f"[...document.querySelectorAll('{rows}')].map((link) => link.textContent)"
    page.run("document.querySelectorAll('#metric-labels thead button')[1].click()")
    assert page.run(names)[:2] == ["truth", "consensus"]
    page.run("document.querySelectorAll('#metric-labels thead button')[1].click()")
    assert page.run(names)[:2] == ["consensus", "truth"]
    rows = "#metric-labels tbody:not(.controls) tr:not(.group) th a"
    names = f"[...document.querySelectorAll('{rows}')].map((link) => link.textContent)"
    for _ in range(2):
        page.run("document.querySelectorAll('#metric-labels thead button')[1].click()")
        assert page.run(names)[-1] == "cryodrgn"  # failed
    page.run("document.querySelectorAll('#metric-labels thead button')[0].click()")
    assert page.run(names) == [HOSTILE_NAME, "3d-class", "cryodrgn", "labels-only"]


def test_latents_follow_the_colour_that_is_chosen(page):
    _draw_everything(page)
    plot = "document.querySelector('.plot[data-plot=latents]')"
    title = f"{plot}.querySelector('.role-legend-title').textContent"
    colours = (
        f"[...new Set([...{plot}.querySelectorAll('.mark-symbol > path')].map((dot) => dot.getAttribute('fill')))]"
    )
    assert page.run(title) == "dihedral / °"
    before = page.run(colours)
    assert len(before) > 10
    page.run(
        "(() => { const box = document.getElementById('latent-colour');"
        " box.value = [...box.options].find((option) => option.text.startsWith('defocus')).value;"
        " box.dispatchEvent(new Event('change')); })()"
    )
    page.wait_for(f"{title} === 'defocus / µm'")
    assert page.run(colours) != before
    assert page.run("document.querySelectorAll('#latent-colour optgroup').length") == 2


def test_more_runs_are_folded_and_drawn_when_opened(page):
    fold = "document.querySelector('#classes details.more')"
    _visit(page, "#classes details.more")
    page.run("new Promise((done) => setTimeout(done, 300))")
    assert page.run(f"{fold}.querySelectorAll('.plot[data-drawn]').length") == 0
    page.run(f"{fold}.open = true")
    page.wait_for(f"{fold}.querySelectorAll('.plot[data-drawn]').length > 0")


def test_quality_is_set_against_the_cost_that_is_chosen(page):
    _visit(page, ".plot[data-plot=cost]")
    page.wait_for("document.querySelector('.plot[data-plot=cost]').dataset.drawn === 'yes'")
    page.run(
        "(() => { const box = document.getElementById('cost-kind'); box.value = 'peak_memory_bytes';"
        " box.dispatchEvent(new Event('change')); })()"
    )
    text = "document.querySelector('.plot[data-plot=cost]').textContent"
    page.wait_for(f"{text}.includes('peak memory / GiB')")
    assert "wall time / s" not in page.run(text)


def test_a_name_leads_to_its_run_record(page):
    page.run("document.querySelector('.board a[href^=\"#run-5\"]').click()")
    page.wait_for("document.querySelector('details[id^=run-5]').open")
    record = page.run("document.querySelector('details[id^=run-5]').innerText")
    for words in ("cryobench run 3d-class", "settings.n_classes", "hardware.cores", "dataset.sha256", "seed"):
        assert words in record


def _point_along(page: Page, selector: str, words: str) -> None:
    """Move the mouse down a plot, through the tenth of its shells, until the words are said at it."""
    _visit(page, selector)
    page.run("new Promise((done) => setTimeout(done, 200))")
    x, y, height = page.run(
        f"(() => {{ const box = document.querySelector('{selector} .background').getBoundingClientRect();"
        " return [box.x + 9 / 16 * box.width, box.y, box.height]; })()"
    )
    for step in range(60):
        page.hover(x, y + height * step / 60)
        page.run("new Promise((done) => setTimeout(done, 40))")
        if page.run(f"document.querySelector('#tooltip.visible')?.textContent.includes({words!r}) ?? false"):
            return
    pytest.fail(f"{words!r} was not said anywhere in {selector}")


def test_curves_follow_the_mask_and_each_query_can_be_seen(page):
    _draw_everything(page)
    selector = ".plot[data-plot=fsc]"
    _visit(page, selector)
    curves = f"[...document.querySelectorAll('{selector} .mark-line > path')].map((line) => line.getAttribute('d'))"
    masked = page.run(curves)
    texts = page.run(f"[...document.querySelectorAll('{selector} text')].map((text) => text.textContent)")
    assert {"resolution / Å", "0.143", "truth"} <= set(texts)
    _point_along(page, selector, "3d-class")
    page.run("document.querySelector('#fsc-mask input[value=none]').click()")
    page.wait_for(f"JSON.stringify({curves}) !== JSON.stringify({masked!r})")
    page.run("document.getElementById('fsc-single').click()")
    page.wait_for(f"{curves}.length > 2 * {len(masked)}")
    _point_along(page, selector, "query particle")


def _open_curves(page) -> tuple[str, str, int]:
    """Selector of the FSC chart, drawn; expression of the number of its lines, and that number."""
    selector = ".plot[data-plot=fsc]"
    _visit(page, selector)
    page.wait_for(f"document.querySelector('{selector}').dataset.drawn === 'yes'")
    lines = f"document.querySelectorAll('{selector} .mark-line > path').length"
    return selector, lines, page.run(lines)


def test_runs_are_hidden_and_brought_back_by_the_legend(page):
    selector, lines, drawn = _open_curves(page)
    x, y = page.run(
        f"(() => {{ const box = [...document.querySelectorAll('{selector} .role-legend text')]"
        ".find((text) => text.textContent === '3d-class').getBoundingClientRect();"
        " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
    )
    for expected in (drawn - 1, drawn):
        page.drag((x, y), (x, y), steps=1)
        page.wait_for(f"{lines} === {expected}")
    assert page.run(lines) == drawn


def test_the_legend_is_operated_by_the_keyboard(page):
    selector, lines, drawn = _open_curves(page)
    name = (
        f"[...document.querySelectorAll('{selector} [role=button]')].find((text) => text.textContent === '3d-class')"
    )
    page.run(f"{name}.focus()")
    for key, expected, pressed in (("Enter", drawn - 1, "false"), (" ", drawn, "true")):
        page.press(key)
        page.wait_for(f"{lines} === {expected} && {name}.getAttribute('aria-pressed') === '{pressed}'")
        assert page.run("document.activeElement.textContent") == "3d-class"
    page.press("Tab")
    assert page.run("document.activeElement.getAttribute('role')") == "button"
    assert page.run(f"{name}.closest('[aria-hidden=true], [role=img]') === null")
    assert page.run(f"document.querySelector('{selector}').ariaLabel").startswith("Mean FSC")


def test_tables_that_are_wider_than_the_page_say_so(page):
    said = "getComputedStyle(place, '::before').content.includes('Scroll')"
    places = "[...document.querySelectorAll('.scroll')].filter((place) => place.checkVisibility())"
    right = f"{places}.every((place) => {said} === place.scrollWidth > place.clientWidth)"
    page.wait_for(right)
    page.resize(390, 800)
    page.wait_for(f"{right} && {places}.some((place) => {said})")


def test_changing_the_score_redraws_the_forest(page):
    _visit(page, ".plot[data-plot=forest]")
    page.wait_for("document.querySelector('.plot[data-plot=forest]').dataset.drawn === 'yes'")
    page.run(
        "(() => { const box = document.getElementById('forest-metric'); box.value = 'resolution-0.5';"
        " box.dispatchEvent(new Event('change')); })()"
    )
    page.wait_for("document.querySelector('.plot[data-plot=forest]').textContent.includes('Resolution at FSC 0.5')")
    # Nobody draws a dot for curves that never cross the threshold.
    assert page.run("document.querySelectorAll('.plot[data-plot=forest] .mark-symbol > path').length") == 5


def test_a_missing_file_and_a_failing_script_are_noticed(browser, report, tmp_path):
    """The eyes of the tests above: a broken copy of the report must give problems."""
    copy = tmp_path / "broken"
    shutil.copytree(report.parent, copy)
    (copy / "assets" / "vega.js").unlink()
    picture = next((copy / "assets" / "slices").glob("*.png"))
    picture.unlink()
    with Page(browser) as page:
        page.open(copy / "index.html")
        page.wait_for("document.documentElement.dataset.ready === 'yes'")
        _visit(page, ".plot[data-plot=forest]")
        page.wait_for("document.querySelectorAll('.plot .failed').length > 0")
        assert any("ERR_FILE_NOT_FOUND" in problem for problem in page.problems)
        assert any("forest could not be drawn" in problem for problem in page.problems)
