"""Image files that are damaged or lie about themselves, each made from a whole one."""

import io
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import imageio.v3 as iio
import numpy as np
import tifffile

SIDE = 64
OME = {"axes": "YX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.1}
CUTS = (0.02, 0.2, 0.5, 0.8, 0.97)


def picture(seed: int = 0) -> np.ndarray:
    """Noise, of which every pixel counts, ``(64, 64)`` uint8."""
    return np.random.default_rng(seed).integers(1, 255, (SIDE, SIDE), np.uint8)


def whole() -> dict[str, bytes]:
    """A file of each kind, by its ending."""
    image = picture()

    def tiff(array: np.ndarray = image, **options: object) -> bytes:
        written = io.BytesIO()
        tifffile.imwrite(written, array, photometric="minisblack", **options)
        return written.getvalue()

    return {
        "png": iio.imwrite("<bytes>", image, extension=".png"),
        "deep.png": iio.imwrite("<bytes>", image.astype(np.uint16) * 200, extension=".png"),
        "jpg": imagecodecs.jpeg_encode(image, level=90),
        "tif": tiff(),
        "zlib.tif": tiff(compression="zlib", tile=(32, 32)),
        "lzw.tif": tiff(compression="lzw", rowsperstrip=16),
        "stack.tif": tiff(np.stack([image, image]), compression="zlib"),
        "big.tif": tiff(bigtiff=True),
        "imagej.tif": tiff(imagej=True),
        "ome.tif": tiff(ome=True, metadata=OME),
        "float.tif": tiff(image.astype(np.float32)),
    }


def cut() -> Iterator[tuple[str, bytes]]:
    """Files without their end, as a copy that was broken off leaves them."""
    for ending, data in whole().items():
        for share in CUTS:
            yield f"cut_{round(100 * share)}.{ending}", data[: int(share * len(data))]


def flipped(seeds: range) -> Iterator[tuple[str, bytes]]:
    """Files with a few wrong bits, at the beginning, where the sizes stand, as often as elsewhere."""
    files = list(whole().items())
    for seed in seeds:
        random = np.random.default_rng(seed)
        ending, data = files[seed % len(files)]
        changed = bytearray(data)
        for _ in range(int(random.integers(1, 4))):
            end = min(len(data), 400) if random.random() < 0.5 else len(data)
            changed[int(random.integers(end))] ^= 1 << int(random.integers(8))
        yield f"flip_{seed}.{ending}", bytes(changed)


def bombs() -> Iterator[tuple[str, bytes]]:
    """A few bytes that promise more than any memory holds."""
    header = struct.pack(">IIBBBBB", 2**30, 2**30, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts]
    yield "bomb.png", b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
    jpeg = imagecodecs.jpeg_encode(picture(), level=90)
    place = jpeg.index(b"\xff\xc0") + 5
    yield "bomb.jpg", jpeg[:place] + struct.pack(">HH", 65500, 65500) + jpeg[place + 4 :]
    for ending in ("tif", "zlib.tif", "lzw.tif", "big.tif"):
        data = whole()[ending]
        for code, name in ((256, "wide"), (257, "high"), (322, "tile")):
            for value in (2**20, 2**31 - 1):
                changed = _tagged(data, code, value)
                if changed:
                    yield f"{name}_{value}.{ending}", changed
    metadata = whole()["ome.tif"]
    yield "size_.ome.tif", metadata.replace(b'SizeX="64"', b'SizeX="9e9"')
    for size in (b"-1.", b"nan", b"0.0", b"inf"):
        yield f"pixel_{size.decode()}.ome.tif", metadata.replace(b'PhysicalSizeX="0.1"', b'PhysicalSizeX="%s"' % size)


def _tagged(data: bytes, code: int, value: int) -> bytes | None:
    """A TIFF of which a tag has another value."""
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        tag = tiff.pages.first.tags.get(code)
        if tag is None or tag.dtype not in (3, 4):
            return None
        size = 2 if tag.dtype == 3 else 4
        changed = bytearray(data)
        changed[tag.valueoffset : tag.valueoffset + size] = min(value, 2 ** (8 * size) - 1).to_bytes(size, "little")
        return bytes(changed)


def zarr_bomb(folder: Path) -> None:
    """A Zarr array of 10^12 planes, without a chunk."""
    folder.mkdir()
    described = {
        "zarr_format": 2,
        "shape": [10**12, SIDE, SIDE],
        "chunks": [1, SIDE, SIDE],
        "dtype": "|u1",
        "compressor": None,
        "fill_value": 0,
        "filters": None,
        "order": "C",
    }
    (folder / ".zarray").write_text(json.dumps(described))
