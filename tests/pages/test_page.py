"""The page is correct, needs no other file, and works in a real browser."""

import io
import re
import shutil
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from src.metrics.mistakes import OF_CELLS, OF_CLASSES
from src.pages import page
from src.pages.pictures import panels

WIDTHS = {"desktop": 1280, "phone": 390}


@pytest.fixture
def run(reported_run):
    return reported_run


@pytest.fixture(scope="module")
def chromium():
    """A browser without a window."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, run):
    """Open the report: → (page, what went wrong)."""
    contexts = []

    def open_(width: int = 1280, scheme: str = "light", file: Path = run / "report.html"):
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        tab, wrong = context.new_page(), []
        tab.on("console", lambda message: wrong.append(message.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("request", lambda request: wrong.append(request.url) if leaves(request.url, file) else None)
        tab.goto(file.as_uri())
        tab.wait_for_function("[...document.images].every(image => image.complete)")
        return tab, wrong

    yield open_
    for context in contexts:
        context.close()


def leaves(url: str, file: Path) -> bool:
    return not url.startswith("data:") and url != file.as_uri()


def picture(locator) -> np.ndarray:
    return iio.imread(io.BytesIO(locator.screenshot()), extension=".png")[..., :3].astype(int)


def set_range(locator, value: int) -> None:
    locator.evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input', {bubbles: true})) }", value
    )


# In the browser.


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_it_opens_whole_and_asks_nobody_for_anything(width, scheme, opened):
    tab, wrong = opened(width, scheme)
    assert wrong == []
    sizes = tab.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert len(sizes) >= 2 * (2 + 4) + 3 and min(sizes) > 0  # two images, in viewer and for print; three of training
    assert tab.evaluate("document.documentElement.scrollWidth") == width  # nothing to scroll sideways


def test_the_slider_shows_one_picture_left_of_it_and_the_other_right(opened):
    tab, _ = opened()
    figure = tab.locator(".result").first
    viewer, slider = figure.locator(".viewer"), figure.locator("input[type=range]")
    shown = {}
    for name in ("truth", "mistakes"):
        figure.locator(".left").select_option(name)
        set_range(slider, 100)
        shown[name] = picture(viewer)
    assert (shown["truth"] != shown["mistakes"]).any()
    figure.locator(".left").select_option("truth")
    figure.locator(".right").select_option("mistakes")
    half = shown["truth"].shape[1] // 2
    for value, left, right in ((0, "mistakes", "mistakes"), (50, "truth", "mistakes"), (100, "truth", "truth")):
        set_range(slider, value)
        seen = picture(viewer)
        np.testing.assert_array_equal(seen[:, : half - 3], shown[left][:, : half - 3])
        np.testing.assert_array_equal(seen[:, half + 3 :], shown[right][:, half + 3 :])


def test_what_is_enlarged_follows_the_pointer_up_to_its_edge(opened):
    tab, _ = opened()
    figure = tab.locator(".result").first
    viewer = figure.locator(".viewer")
    figure.locator(".left").select_option("image")
    set_range(figure.locator("input[type=range]"), 100)
    whole = picture(viewer)
    figure.locator(".zoom").select_option("2")
    corner = picture(viewer)
    half = len(whole) // 2
    coarse = [
        image[: 2 * half : 2, : 2 * half : 2]
        for image in (corner, np.repeat(np.repeat(whole[:half, :half], 2, 0), 2, 1))
    ]
    assert np.abs(coarse[0][:half, :half] - coarse[1][:half, :half]).mean() < 10  # the upper left quarter
    box = viewer.bounding_box()
    tab.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 100)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + 100, steps=4)
    tab.mouse.move(box["x"] - box["width"], box["y"] + 100, steps=4)
    moved = picture(viewer)
    tab.mouse.up()
    assert np.abs(moved - corner).mean() > 3
    assert figure.locator(".layers").evaluate("each => each.getBoundingClientRect().right") == pytest.approx(
        box["x"] + box["width"], abs=2
    )


def test_the_film_shows_the_step_that_is_chosen(opened, run, run_command, tmp_path):
    other = tmp_path / "run"
    shutil.copytree(run, other)
    first = other / "pictures" / "validation" / "step_000001.png"
    iio.imwrite(first, 255 - iio.imread(first))
    assert run_command("report", f"run={other}")[0] == 0
    tab, _ = opened(file=other / "report.html")
    film = tab.locator(".film")
    assert film.locator("output").inner_text() == "3"
    last = picture(film.locator("img"))
    set_range(film.locator("input"), 0)
    assert film.locator("output").inner_text() == "1"
    np.testing.assert_allclose(picture(film.locator("img")).mean(), 255 - last.mean(), atol=5)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_curves_stand_out_from_the_ground(scheme, opened):
    tab, _ = opened(scheme=scheme)

    def brightness(script: str) -> float:
        return sum(map(int, re.findall(r"\d+", tab.evaluate(script))[:3])) / 3

    ground = brightness("getComputedStyle(document.body).backgroundColor")
    assert abs(brightness("getComputedStyle(document.body).color") - ground) > 150
    assert abs(brightness("getComputedStyle(document.querySelector('svg use')).fill") - ground) > 150


def test_print_has_all_pictures_beside_each_other_and_no_controls(opened):
    tab, _ = opened()
    tab.emulate_media(media="print")
    first = tab.locator(".result").first
    assert first.locator(".sheet img").count() == 4 and first.locator(".sheet").is_visible()
    tops = {round(first.locator(".sheet img").nth(place).bounding_box()["y"]) for place in range(4)}
    assert len(tops) == 1
    assert not first.locator(".viewer").is_visible() and not first.locator(".controls").is_visible()


def test_a_page_of_scores_alone_works_too(opened, tmp_path, run_command, run):
    command = f"truth={run.parent / 'own' / 'labels'} prediction={run / 'predictions'} metrics=instances"
    status, printed, error = run_command("score", *command.split(), f"output={tmp_path / 'scores.json'}")
    assert status == 0, error
    assert f"report: {tmp_path / 'scores.html'}" in printed
    tab, wrong = opened(390, "dark", tmp_path / "scores.html")
    assert wrong == []
    assert tab.locator(".result").count() == 2
    assert tab.locator(".left option").all_inner_texts()[:3] == ["truth", "prediction", "mistakes"]


# What it says.


def test_a_page_of_many_noisy_pictures_can_still_be_sent(tmp_path):
    noise = np.random.default_rng(0).random((3, 700, 700), np.float32)
    labels = (noise[0] > 0.5).astype(int)
    drawn = panels(noise, labels, labels, labels)
    assert 20 * sum(map(len, drawn.values())) > 10_000_000  # otherwise this says nothing
    names = [f"image_{number}" for number in range(20)]
    scores = {"scores": {"f1": 0.5}, "per_image": [{"name": name, "f1": 0.5} for name in names]}
    file = tmp_path / "scores.html"
    page.write_score_page(file, scores, "f1", "max", dict.fromkeys(names, drawn), OF_CELLS, str)
    assert 1_000_000 < file.stat().st_size < 10_000_000
    shown = len(re.findall('<figure class="result"', file.read_text()))
    assert 1 <= shown < 20 and f"The other {20 - shown} images, with better scores, are not shown" in file.read_text()


def written(file, count, classes, name):
    """A page of scores of so many images with so many classes."""
    random = np.random.default_rng(0)
    grey, labels = random.random((1, 96, 128), np.float32), random.integers(0, classes, (96, 128))
    pictures = panels(grey, labels, labels, np.where(labels == 1, 3, 0))
    columns = [f"{score}_class_{c}" for score in ("iou", "dice", "precision", "recall") for c in range(classes)]
    scores = {"iou": 0.5, "dice": 0.6, "precision": 0.7, "recall": 0.8} | dict.fromkeys(columns, 0.25)
    rows = [{"name": f"{name}_{number:03}"} | scores | {"iou": number / count} for number in range(count)]
    shown = {row["name"]: pictures for row in rows}
    page.write_score_page(file, {"scores": scores, "per_image": rows}, "iou", "max", shown, OF_CLASSES, str)


@pytest.mark.parametrize("device", WIDTHS)
@pytest.mark.parametrize(
    ("count", "classes", "name"), [(200, 2, "image"), (3, 8, "x"), (6, 2, "a_name_of_64_letters_" + "y" * 40)]
)
def test_many_images_many_classes_and_long_names_fit(count, classes, name, device, opened, tmp_path):
    written(tmp_path / "scores.html", count, classes, name)
    assert (tmp_path / "scores.html").stat().st_size < 10_000_000
    tab, wrong = opened(WIDTHS[device], file=tmp_path / "scores.html")
    assert wrong == []
    assert tab.evaluate("document.documentElement.scrollWidth") <= WIDTHS[device]
    assert tab.locator("#classes tbody tr").count() == classes
    assert tab.locator("#scores thead th").count() == 5  # the image and four scores
    widths = tab.evaluate("[...document.querySelectorAll('.viewer')].map(each => each.clientWidth)")
    assert min(widths) > 0.3 * WIDTHS[device] and tab.locator(".thumbs a").count() == len(widths)
    assert min(count, 100) <= len(widths) <= count  # noise takes more than most pictures do
