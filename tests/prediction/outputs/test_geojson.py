"""Outlines of cells as GeoJSON hold these cells exactly, in the form that QuPath reads."""

import json
import tempfile
import uuid
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from skimage.draw import polygon2mask

from src.files.legend import Legend
from src.prediction.outputs import cells as module
from src.prediction.outputs import geojson
from tests.prediction.outputs.drawn import HARD, blobs, cells_of, masks


def written(folder, labels, **options):
    geojson.write(folder / "a_outlines.geojson", cells_of(labels, **options), "src.predict geojson 0")
    return json.loads((folder / "a_outlines.geojson").read_text(encoding="utf-8"))


def read_back(collection, shape):
    """Labels of the features of a plane, filled by scikit-image: what lies in an outer ring and in no hole of it."""
    labels = np.zeros(shape, np.int32)
    for feature in collection["features"]:
        geometry = feature["geometry"]
        several = geometry["type"] == "MultiPolygon"
        for outer, *holes in geometry["coordinates"] if several else [geometry["coordinates"]]:
            inside = filled(outer, shape) & ~np.any([np.zeros(shape, bool), *(filled(h, shape) for h in holes)], axis=0)
            assert not labels[inside].any()
            labels[inside] = int(feature["properties"]["name"])
    return labels


def filled(ring, shape):
    assert ring[0] == ring[-1] and len(ring) > 4
    return polygon2mask(shape, np.array(ring)[:, ::-1] - 0.5)  # from the centres of pixels, and rows first


@settings(max_examples=60, deadline=None)
@given(masks)
def test_labels_come_back_from_geojson(labels):
    with tempfile.TemporaryDirectory() as folder:
        np.testing.assert_array_equal(read_back(written(Path(folder), labels), labels.shape), labels)


@pytest.mark.parametrize("at_once", [2**23, 90 * 7], ids=["at once", "in bands"])
@pytest.mark.parametrize("labels", [HARD, blobs()], ids=["hard", "blobs"])
def test_labels_of_drawings_come_back_from_geojson(labels, at_once, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    np.testing.assert_array_equal(read_back(written(tmp_path, labels), labels.shape), labels)


def test_a_pixel_is_a_square_of_a_detection(tmp_path):
    labels = np.zeros((5, 6), np.int32)
    labels[2, 3] = 7
    (feature,) = written(tmp_path, labels)["features"]
    (ring,) = feature["geometry"]["coordinates"]
    assert feature["type"] == "Feature" and feature["geometry"]["type"] == "Polygon"
    assert sorted(map(tuple, ring[1:])) == [(3, 2), (3, 3), (4, 2), (4, 3)]
    assert feature["properties"] == {"objectType": "detection", "name": "7"}
    assert "plane" not in feature["geometry"]


def test_ids_are_uuids_and_those_of_the_same_prediction_are_the_same(tmp_path):
    labels = np.stack([HARD, HARD])
    ids = [feature["id"] for feature in written(tmp_path, labels)["features"]]
    assert len({uuid.UUID(each) for each in ids}) == 8
    assert ids == [feature["id"] for feature in written(tmp_path, labels)["features"]]
    geojson.write(tmp_path / "b.geojson", cells_of(labels), "src.predict geojson 1")
    others = json.loads((tmp_path / "b.geojson").read_text(encoding="utf-8"))["features"]
    assert not {feature["id"] for feature in others} & set(ids)


def test_holes_are_inner_rings_and_pieces_polygons(tmp_path):
    kinds = {feature["properties"]["name"]: feature["geometry"] for feature in written(tmp_path, HARD)["features"]}
    assert {name: kind["type"] for name, kind in kinds.items()} == {
        **dict.fromkeys("12", "MultiPolygon"),
        **dict.fromkeys("35", "Polygon"),
    }
    assert sorted(len(polygon) for polygon in kinds["1"]["coordinates"]) == [1, 5]


def test_cells_of_a_stack_lie_on_its_planes(tmp_path):
    labels = np.stack([np.zeros_like(HARD), HARD])[None].repeat(2, axis=0)
    planes = [feature["geometry"]["plane"] for feature in written(tmp_path, labels)["features"]]
    assert planes == [{"c": -1, "z": 1, "t": t} for t in (0, 0, 0, 0, 1, 1, 1, 1)]


def test_pieces_of_classes_have_their_name_and_colour(tmp_path):
    kinds = (np.array([0, 1, 2]),)
    legend = Legend((0, 5, 7), ("ground", "Gefäß", ""), ((0, 0, 0), (255, 0, 0), (0, 9, 255)))
    found = written(tmp_path, np.array([[1, 0, 2]], np.int32), kinds=kinds, legend=legend)["features"]
    assert [feature["properties"]["classification"] for feature in found] == [
        {"name": "Gefäß", "color": [255, 0, 0]},
        {"name": "class 2", "color": [0, 9, 255]},
    ]


@pytest.mark.parametrize("labels", [HARD, np.zeros((3, 4), np.int32)], ids=["some", "none"])
def test_a_file_says_what_it_was_made_from(labels, tmp_path):
    assert written(tmp_path, labels)["type"] == "FeatureCollection"
    assert geojson.made_from(tmp_path / "a_outlines.geojson") == "src.predict geojson 0"
    (tmp_path / "other.geojson").write_text('{"type": "FeatureCollection", "features": []}', encoding="utf-8")
    with pytest.raises((ValueError, KeyError)):
        geojson.made_from(tmp_path / "other.geojson")
