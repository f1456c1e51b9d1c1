"""Pictures of one plane: all bit depths and colour types; files that cannot be read are named."""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from src.files.image import open_image, open_stored, read_image
from src.files.stored import Reading
from tests.files.micrographs import noise

GREYS = np.arange(256).repeat(3).reshape(256, 3).astype(np.uint8)


def smooth(levels: int = 256) -> np.ndarray:
    """Grey values that vary smoothly from pixel to pixel."""
    y, x = np.mgrid[:20, :30]
    return ((y * 3 + x * 2) * (levels - 1) // 115).clip(0, levels - 1).astype(np.uint8)


def indexed(file, values: np.ndarray, table: np.ndarray) -> None:
    picture = Image.frombytes("P", values.shape[::-1], values.astype(np.uint8).tobytes())
    picture.putpalette(table.astype(np.uint8).tobytes())
    picture.save(file)


@pytest.mark.parametrize("channels", [(), (2,), (3,), (4,)])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_a_png_of_any_depth_and_channels_is_read_exactly(tmp_path, channels, dtype):
    array = noise((20, 30, *channels), dtype)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(array))
    found, axes = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(found, array)
    assert axes == "YXS"[: array.ndim] and found.dtype == dtype


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_a_png_of_few_bits_has_the_numbers_that_were_stored(tmp_path, bits):
    """Encode a PNG by hand, because encoders choose the bit depth themselves."""
    values = np.arange(32).reshape(4, 8) % 2**bits
    packed = np.packbits(np.unpackbits(values.astype(np.uint8)[..., None], axis=2)[..., -bits:].reshape(4, -1), axis=1)
    rows = b"".join(b"\0" + row.tobytes() for row in packed)

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 8, 4, bits, 0, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    stored = open_stored(tmp_path / "a.png")
    np.testing.assert_array_equal(stored.array, values)
    assert (stored.array.dtype == bool) == (stored.bits == 1) == (bits == 1)


@pytest.mark.parametrize("name", ["a.bmp", "a.gif", "a.webp", "a.jp2", "a.j2k", "A.BMP"])
def test_other_pictures_show_what_was_saved(tmp_path, name):
    array = smooth()
    if name.endswith(("jp2", "j2k")):
        (tmp_path / name).write_bytes(imagecodecs.jpeg2k_encode(array, level=0, reversible=True))
    else:
        Image.fromarray(array).save(tmp_path / name, **({"lossless": True} if "webp" in name else {}))
    with_all = open_image(tmp_path / name)
    band = with_all.band(0, 0, 20)
    assert all(np.array_equal(plane, array) for plane in band)
    assert with_all.in_channels == (3 if "webp" in name else 1)


def test_a_jpeg_2000_of_16_bits_keeps_them(tmp_path):
    array = noise((20, 30), "u2")
    (tmp_path / "a.jp2").write_bytes(imagecodecs.jpeg2k_encode(array, level=0, reversible=True))
    np.testing.assert_array_equal(read_image(tmp_path / "a.jp2")[0], array)


@pytest.mark.parametrize("name", ["a.gif", "a.webp"])
def test_an_animation_is_refused(tmp_path, name):
    frames = [Image.fromarray(noise((20, 30, 3), "u1", seed)) for seed in range(3)]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
    with pytest.raises(ValueError, match=r"animation of 3 pictures; nearest valid: a TIFF stack"):
        open_image(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.bmp"])
@pytest.mark.parametrize(("table", "taken"), [(GREYS, 1), (GREYS[::-1], -1)], ids=["rising", "falling"])
def test_a_falling_ramp_is_inverted_and_a_rising_one_is_not(tmp_path, name, table, taken):
    values = smooth()
    indexed(tmp_path / name, values, table)
    image = open_image(tmp_path / name)
    assert np.array_equal(image.band(0, 0, 20)[0], values if taken > 0 else 255 - values)
    assert [note.code for note in image.notes] == ([] if taken > 0 else ["white-is-zero"])
    stored = open_image(tmp_path / name, Reading())
    assert np.array_equal(stored.band(0, 0, 20)[0], values)


def test_look_up_tables_for_display_keep_grey_values_and_palettes_give_colours(tmp_path):
    values = smooth()
    hot = np.stack([GREYS[:, 0], GREYS[:, 0] // 3, 255 - GREYS[:, 0]], axis=1)
    indexed(tmp_path / "display.png", values, hot)
    image = open_image(tmp_path / "display.png")
    assert np.array_equal(image.band(0, 0, 20)[0], values) and image.in_channels == 1
    order = np.random.default_rng(0).permutation(256).astype(np.uint8)
    shuffled = np.zeros_like(hot)
    shuffled[order] = hot
    indexed(tmp_path / "picture.png", order[values], shuffled)
    image = open_image(tmp_path / "picture.png")
    np.testing.assert_array_equal(image.band(0, 0, 20), np.moveaxis(hot[values], -1, 0))
    assert [note.code for note in image.notes] == ["colour-table"]


def test_a_short_palette_of_greys_gives_the_greys_that_it_shows(tmp_path):
    """A palette with only the colours that occur, as some programs write it."""
    values = np.sort(noise((20, 30), "u1") % 4, axis=None).reshape(20, 30)
    rising = np.array([10, 40, 90, 250]).repeat(3).reshape(4, 3)
    indexed(tmp_path / "rising.png", values, rising)
    np.testing.assert_array_equal(open_image(tmp_path / "rising.png").band(0, 0, 20)[0], rising[values][..., 0])


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_orientation_tag_is_applied(tmp_path, name, orientation):
    picture = Image.fromarray(smooth())
    tags = picture.getexif()
    tags[0x0112] = orientation
    picture.save(tmp_path / name, exif=tags)
    shown, stored = open_image(tmp_path / name), open_image(tmp_path / name, Reading())
    assert (shown.height, shown.width) == ((30, 20) if orientation > 4 else (20, 30))
    turns = {1: 0, 3: 2, 6: 3, 8: 1}[orientation]
    np.testing.assert_array_equal(shown.band(0, 0, shown.height)[0], np.rot90(stored.band(0, 0, 20)[0], turns))


def test_a_truncated_picture_is_refused_by_name(tmp_path):
    for name in ("a.bmp", "a.gif", "a.webp", "a.jp2"):
        content = io.BytesIO()
        Image.fromarray(noise((40, 40, 3), "u1")).save(content, {"jp2": "JPEG2000"}.get(name[2:], name[2:].upper()))
        (tmp_path / name).write_bytes(content.getvalue()[: len(content.getvalue()) // 3])
        with pytest.raises(ValueError, match=name):
            open_image(tmp_path / name)
