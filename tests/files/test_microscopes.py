"""Files of microscopes: a Leica file written by hand, and what is said where a reader is missing."""

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


def test_a_leica_file_is_read_with_its_axes_and_sizes(tmp_path):
    array = noise((2, 3, 20, 30), "u2")
    lif(tmp_path / "a.lif", array)
    image = open_image(tmp_path / "a.lif")
    assert (image.planes, image.in_channels, image.height, image.width) == (3, 2, 20, 30)
    for plane in range(3):
        np.testing.assert_array_equal(image.band(plane, 4, 9), array[:, plane, 4:9])
    assert image.pixel_size == pytest.approx({"Z": 0.5, "Y": 0.5, "X": 0.5})


def test_of_several_images_the_largest_is_read_and_the_others_are_told_of(tmp_path):
    arrays = [noise((1, 1, 20, 30), "u2"), noise((1, 1, 40, 50), "u2")]
    lif(tmp_path / "a.lif", *arrays)
    image = open_image(tmp_path / "a.lif")
    np.testing.assert_array_equal(image.band(0, 0, 40), arrays[1][:, 0])
    assert "2 images in one file" in image.notes[0].found and "image 1" in image.notes[0].taken


@pytest.mark.parametrize("name", ["a.czi", "a.nd2", "a.lif"])
def test_what_is_no_such_file_is_refused_by_name(tmp_path, name):
    (tmp_path / name).write_bytes(b"something else entirely" * 100)
    with pytest.raises(ValueError, match=f"{name} cannot be read"):
        open_image(tmp_path / name)


@pytest.mark.parametrize(("name", "reader"), [("a.czi", "czifile"), ("a.nd2", "nd2"), ("a.lif", "liffile")])
def test_a_reader_that_is_missing_is_named_with_its_extra(tmp_path, monkeypatch, name, reader):
    monkeypatch.setitem(sys.modules, reader, None)  # as if it were not installed
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ValueError, match=f"pip install {reader} .or the extra microscopes"):
        open_image(tmp_path / name)
