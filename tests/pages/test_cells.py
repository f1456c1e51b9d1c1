"""The page of the cells of many images: its counts, and the images that it names."""

import html.parser

import numpy as np
import pytest

from src.pages.cells import histograms, medians, shown, standing_out, write_cells_page


def measures(count, area=100.0, seed=0):
    random = np.random.default_rng(seed)
    return {"area": area * random.uniform(0.9, 1.1, count), "confidence": random.uniform(0.8, 0.9, count)}


def images(**odd):
    return {f"image_{number}": measures(50 + number, seed=number) for number in range(8)} | odd


def test_what_is_far_from_the_others_stands_out_with_the_reason():
    rows = {name: medians(each) for name, each in images(many=measures(900), large=measures(52, area=400)).items()}
    found = dict(standing_out(rows))
    assert found.keys() == {"many", "large"}
    assert found["many"].startswith("cells 900; half of the images have 5")
    assert found["large"].startswith("median area 4")


@pytest.mark.parametrize("rows", [{}, {"a": {"cells": 5.0}, "b": {"cells": 900.0}}], ids=["none", "two"])
def test_of_few_images_none_stands_out(rows):
    assert standing_out(rows) == []


def test_images_that_are_nearly_the_same_do_not_stand_out():
    assert standing_out({str(n): {"cells": 100.0 + (n == 7)} for n in range(8)}) == []


def test_an_image_without_cells_has_no_medians():
    assert medians({"area": np.zeros(0)})["cells"] == 0 and np.isnan(medians({"area": np.zeros(0)})["median area"])
    assert shown(np.nan) == "–"


def test_there_is_a_histogram_of_each_measure_with_all_cells():
    cells = images(empty={"area": np.zeros(0), "confidence": np.zeros(0)})
    drawn = histograms(cells, {name: medians(each) for name, each in cells.items()})
    counts = {axes.get_title(loc="left"): sum(bar.get_height() for bar in axes.patches) for axes in drawn.axes}
    total = sum(50 + number for number in range(8))
    assert {name: count for name, count in counts.items() if name} == {
        "cells in an image": 9,
        "area": total,
        "confidence": total,
    }


def test_the_page_names_them_first_and_links_to_pictures(tmp_path):
    write_cells_page(tmp_path / "cells.html", images(**{"a <b>": measures(900)}), {"image_0": "image_0%20.png"}, "ours")
    text = (tmp_path / "cells.html").read_text(encoding="utf-8")
    html.parser.HTMLParser().feed(text)
    assert "1,328 cells in 9 images" in text and "<b>" not in text and '<a href="image_0%20.png">image_0</a>' in text
    assert "<strong>a &lt;b&gt;</strong>: cells 900" in text
    body = text[text.index("<tbody>") :]
    assert body.index("a &lt;b&gt;") < body.index("image_0") < body.index("image_7")
    assert 'content="ours"' in text


def test_images_unlike_the_training_images_stand_first_and_the_page_says_how(tmp_path):
    said = {"image_3": ["sharpness 0.1, training images 0.4–0.6: perhaps out of focus"]}
    write_cells_page(tmp_path / "cells.html", images(), {}, "ours", said)
    page = (tmp_path / "cells.html").read_text()
    assert "Images unlike the training images" in page and "<strong>image_3</strong>: sharpness 0.1, " in page
    assert page.index('class="odd"><td>image_3') < page.index("<td>image_0")
    write_cells_page(tmp_path / "cells.html", images(), {}, "ours")
    assert "unlike" not in (tmp_path / "cells.html").read_text()
