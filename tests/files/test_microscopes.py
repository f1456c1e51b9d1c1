"""Microscope files: Leica and Zeiss files written by hand, and the message if a reader is missing."""

import struct
import sys

import numpy as np
import pytest

from src.files.image import open_image
from tests.files.micrographs import noise


def lif(file, *arrays: np.ndarray) -> None:
    """Images ``(C, Z, Y, X)`` of 8 or 16 bits in a Leica LIF: a header in XML, then a block of memory for each."""
    elements = ""
    for number, array in enumerate(arrays):
        channels, *sides = array.shape
        strides, step = [], array.itemsize
        for side in reversed(sides):
            strides.append(step)
            step *= side
        described = "".join(
            f'<ChannelDescription DataType="0" '
            f'ChannelTag="0" Resolution="{8 * array.itemsize}" NameOfMeasuredQuantity="" '
            f'Min="0" Max="1" Unit="" LUTName="Green" IsLUTInverted="0" BytesInc="{channel * step}" BitInc="0"/>'
            for channel in range(channels)
        )
        dimensions = "".join(
            f'<DimensionDescription DimID="{axis + 1}" NumberOfElements="{side}" Origin="0" '
            f'Length="{(side - 1) * 5e-7}" Unit="m" BitInc="0" BytesInc="{strides[axis]}"/>'
            for axis, side in enumerate(reversed(sides))
        )
        elements += (
            f'<Element Name="image {number}" Visibility="1" UniqueID="{number}"><Data><Image TextDescription="">'
            f"<ImageDescription><Channels>{described}</Channels><Dimensions>{dimensions}</Dimensions></ImageDescription>"
            f'</Image></Data><Memory Size="{array.nbytes}" MemoryBlockID="MemBlock_{number}"/><Children/></Element>'
        )
    xml = (
        f'<LMSDataContainerHeader Version="2"><Element Name="a.lif" Visibility="1" UniqueID="r"><Data><Experiment '
        f'IsSavedFlag="1" Path="a.lif"/></Data><Memory Size="0" MemoryBlockID="MemBlock_r"/><Children>{elements}'
        f"</Children></Element></LMSDataContainerHeader>"
    ).encode("utf-16-le")
    content = struct.pack("<IIBI", 0x70, len(xml) + 5, 0x2A, len(xml) // 2) + xml
    for number, array in enumerate(arrays):
        name = f"MemBlock_{number}".encode("utf-16-le")
        content += struct.pack("<IIBQBI", 0x70, len(name) + 14, 0x2A, array.nbytes, 0x2A, len(name) // 2)
        content += name + array.astype(array.dtype.newbyteorder("<")).tobytes()
    file.write_bytes(content)


def czi(file, array: np.ndarray, pixel_type: int) -> None:
    """Write an image ``(C, Z, Y, X)``, or ``(C, Z, Y, X, 3)`` in BGR, as a Zeiss CZI with one block per plane."""
    channels, slices, height, width = array.shape[:4]
    guid = bytes(16)

    def segment(name: bytes, content: bytes) -> bytes:
        content += bytes(-len(content) % 32)
        return struct.pack("<16sqq", name, len(content), len(content)) + content

    def entry(channel: int, plane: int, position: int) -> bytes:
        places = {b"X": (0, width), b"Y": (0, height), b"C": (channel, 1), b"Z": (plane, 1)}
        head = struct.pack("<2siqiiBB4si", b"DV", pixel_type, position, 0, 0, 0, 0, bytes(4), len(places))
        return head + b"".join(struct.pack("<4siifi", name, *place, 0, place[1]) for name, place in places.items())

    sizes = "".join(f'<Distance Id="{axis}"><Value>{size}</Value></Distance>' for axis, size in SIZES.items())
    xml = f"<ImageDocument><Metadata><Scaling><Items>{sizes}</Items></Scaling></Metadata></ImageDocument>".encode()
    described = segment(b"ZISRAWMETADATA", struct.pack("<ii248x", len(xml), 0) + xml)
    body, entries, start = described, [], 32 + 96
    for channel, plane in np.ndindex(channels, slices):
        block = array[channel, plane].astype(array.dtype.newbyteorder("<")).tobytes()
        place = entry(channel, plane, start + len(body))
        entries.append(place)
        content = struct.pack("<iiq", 0, 0, len(block)) + place + bytes(240 - len(place)) + block
        body += segment(b"ZISRAWSUBBLOCK", content)
    directory = start + len(body)
    body += segment(b"ZISRAWDIRECTORY", struct.pack("<i124x", len(entries)) + b"".join(entries))
    header = struct.pack("<iiii16s16siqqiq", 1, 0, 0, 0, guid, guid, 0, directory, start, 0, 0)
    file.write_bytes(segment(b"ZISRAWFILE", header) + body)


def assert_holds(file, array: np.ndarray, pixel_size: dict[str, float]) -> None:
    """Assert that a file is read as ``(C, Z, Y, X)`` with two channels and three slices."""
    image = open_image(file)
    assert (image.planes, image.in_channels, image.height, image.width) == (3, 2, 20, 30)
    for plane in range(3):
        np.testing.assert_array_equal(image.band(plane, 4, 9), array[:, plane, 4:9])
    assert image.pixel_size == pytest.approx(pixel_size)


SIZES = {"X": 2e-7, "Y": 3e-7, "Z": 1e-6}  # metres


@pytest.mark.parametrize(("dtype", "pixel_type"), [("u1", 0), ("u2", 1)])
def test_a_zeiss_file_is_read_with_its_axes_and_sizes(tmp_path, dtype, pixel_type):
    array = noise((2, 3, 20, 30), dtype)
    czi(tmp_path / "a.czi", array, pixel_type)
    assert_holds(tmp_path / "a.czi", array, {"X": 0.2, "Y": 0.3, "Z": 1})


def test_colours_of_a_zeiss_file_are_red_green_and_blue(tmp_path):
    array = noise((1, 1, 20, 30, 3), "u1")
    czi(tmp_path / "a.czi", array, 3)
    np.testing.assert_array_equal(open_image(tmp_path / "a.czi").band(0, 0, 20), np.moveaxis(array[0, 0], -1, 0)[::-1])


def test_a_leica_file_is_read_with_its_axes_and_sizes(tmp_path):
    array = noise((2, 3, 20, 30), "u2")
    lif(tmp_path / "a.lif", array)
    assert_holds(tmp_path / "a.lif", array, {"Z": 0.5, "Y": 0.5, "X": 0.5})


def test_the_largest_of_several_images_is_read_and_a_note_names_the_others(tmp_path):
    arrays = [noise((1, 1, 20, 30), "u2"), noise((1, 1, 40, 50), "u2")]
    lif(tmp_path / "a.lif", *arrays)
    image = open_image(tmp_path / "a.lif")
    np.testing.assert_array_equal(image.band(0, 0, 40), arrays[1][:, 0])
    assert "2 images in one file" in image.notes[0].found and "image 1" in image.notes[0].taken


@pytest.mark.parametrize("name", ["a.czi", "a.nd2", "a.lif"])
def test_a_file_of_another_format_is_refused_by_name(tmp_path, name):
    (tmp_path / name).write_bytes(b"something else entirely" * 100)
    with pytest.raises(ValueError, match=f"{name} cannot be read"):
        open_image(tmp_path / name)


@pytest.mark.parametrize(("name", "reader"), [("a.czi", "czifile"), ("a.nd2", "nd2"), ("a.lif", "liffile")])
def test_a_missing_reader_is_named_with_its_extra(tmp_path, monkeypatch, name, reader):
    monkeypatch.setitem(sys.modules, reader, None)  # as if it were not installed
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ValueError, match=f"pip install {reader} .or the extra microscopes"):
        open_image(tmp_path / name)
