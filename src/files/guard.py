"""Checks of TIFF, PNG, JPEG and Zarr headers before pixels are decoded.

A header of a few bytes can announce an image larger than any memory. Readers therefore first compare the announced
size with the size of the file and with limits.
"""

import math
import struct
from pathlib import Path

import tifffile
from zarr.types import AnyArray

from src.files.limits import check_size

MOST_EMPTY = 2**28  # largest size in bytes of a Zarr array without stored chunks, which is read as its fill value
DEFLATE = 1032  # highest compression ratio of Deflate
_DEFLATED = {tifffile.COMPRESSION.ADOBE_DEFLATE, tifffile.COMPRESSION.DEFLATE}


def check_tiff(tiff: tifffile.TiffFile, file: Path) -> None:
    """Refuse a TIFF that is truncated, or whose headers announce more strips, tiles or bytes than the file has.

    Raises:
        ValueError: the TIFF is truncated, has no page, or announces too much.
    """
    size = file.stat().st_size
    if not len(tiff.pages):
        raise ValueError("it has no page")
    first = tiff.pages.first
    _check_ome(tiff, first)
    images = (tiff.imagej_metadata or {}).get("images", 1)
    whole = images if images > 1 and len(tiff.pages) == 1 else 1  # ImageJ describes a large stack by its first page
    check_size(first.shape, max(len(tiff.pages), whole))
    ends = []
    for page in (each.aspage() for each in tiff.pages):
        parts, there = math.prod(page.chunked), {len(page.dataoffsets), len(page.databytecounts)}
        if there != {parts}:
            raise ValueError(f"it announces {parts:,} strips or tiles, but has {min(there - {parts}):,}")
        announced = page.nbytes // 8 if page.bitspersample == 1 else page.nbytes  # eight pixels a byte
        check_size(page.shape, 1, _capacity(page, whole), announced)
        ends.append(max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=True)), default=0))
    if whole > 1:
        ends.append(first.dataoffsets[0] + whole * first.nbytes)
    described = (tiff.shaped_metadata or [{}])[0].get("shape", tiff.series[0].shape)
    # tifffile skips tags and pages that it cannot read, and returns the readable part of a truncated file.
    last = tiff.pages[-1].aspage()
    lost = _directory(tiff, first)[0] != len(first.tags) or _directory(tiff, last)[1] != 0
    if lost or max(ends) > size or tuple(described) != tiff.series[0].shape:
        raise ValueError("it is truncated")


def _capacity(page: tifffile.TiffPage, copies: int) -> float:
    """Return the largest number of bytes that the stored data of a page can decode to, or infinity if it is unknown.

    Args:
        page: the page.
        copies: number of planes that the page stands for, as in a large stack of ImageJ.
    """
    stored = sum(page.databytecounts)
    if 0 in page.databytecounts:  # missing strips are read as zeros
        return math.inf
    if page.compression == tifffile.COMPRESSION.NONE:
        return stored * copies + 1024
    return stored * DEFLATE + 1024 if page.compression in _DEFLATED else math.inf


def _check_ome(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> None:
    """Refuse OME metadata whose image size differs from that of the first page or exceeds the limits.

    tifffile would allocate memory for as many pixels as the metadata announce.
    """
    if not tiff.ome_metadata:
        return
    image = tifffile.xml2dict(tiff.ome_metadata).get("OME", {}).get("Image", {})
    pixels = (image[0] if isinstance(image, list) else image).get("Pixels", {})
    sizes = {axis: pixels.get(f"Size{axis}", 1) for axis in "TCZ"}
    sides = (int(pixels.get("SizeY", page.imagelength)), int(pixels.get("SizeX", page.imagewidth)))
    check_size(sides, math.prod(sizes.values()))
    if sides != (page.imagelength, page.imagewidth):
        raise ValueError(
            f"its OME metadata state {sides[0]}×{sides[1]} px, but its pages have {page.imagelength}×{page.imagewidth}"
        )


def _directory(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> tuple[int, int]:
    """Return the number of tags that the file states for a page, and the offset of the next page (0 for the last)."""
    layout, stream = tiff.tiff, tiff.filehandle
    stream.seek(page.offset)
    (tags,) = struct.unpack(layout.tagnoformat, stream.read(layout.tagnosize))
    stream.seek(page.offset + layout.tagnosize + tags * layout.tagsize)
    (offset,) = struct.unpack(layout.offsetformat, stream.read(layout.offsetsize))
    return tags, offset


def check_png(data: bytes) -> tuple[int, int]:
    """Refuse a PNG whose header announces more pixels than the file can decode to, or more than the limits allow.

    Args:
        data: all bytes of the file.

    Returns:
        Bit depth and colour type (3: palette).

    Raises:
        ValueError: the header announces too many pixels, or ``data`` does not begin like a PNG.
    """
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 26:
        raise ValueError("it does not begin like a PNG")
    width, height, depth, colours = struct.unpack(">IIBB", data[16:26])
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colours, 1)
    announced = height * (width * channels * depth // 8)
    check_size((height, width, channels), 1, len(data) * DEFLATE, announced)
    return depth, colours


def check_jpeg(data: bytes) -> None:
    """Refuse a JPEG that is truncated or announces too many pixels.

    Decoders would return the readable part of a truncated JPEG without an error.

    Args:
        data: all bytes of the file.

    Raises:
        ValueError: the JPEG is truncated or announces too many pixels, or ``data`` does not begin like a JPEG.
    """
    if data[:2] != b"\xff\xd8":
        raise ValueError("it does not begin like a JPEG")
    place = 2
    while place < len(data) - 1:
        marker = data[place + 1]
        if data[place] != 0xFF or marker in (0x00, *range(0xD0, 0xD8), 0xFF):  # skip coded pixels to the next marker
            place = data.find(b"\xff", place + 1)
            if place < 0:
                break
            continue
        if marker == 0xD9:
            return
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[place + 5 : place + 9])
            # With Huffman coding, a block of 8×8 pixels takes at least one bit.
            check_size((height, width), 1, len(data) * 8 * 64, height * width)
        place += 2 + length
    raise ValueError("it is truncated: its end is missing")


def check_zarr(array: AnyArray) -> None:
    """Refuse a Zarr array that announces too many pixels, or more than `MOST_EMPTY` bytes without any stored chunk.

    Raises:
        ValueError: the array announces too much.
    """
    check_size(array.shape[-2:], math.prod(array.shape[:-2]))
    if array.nbytes > MOST_EMPTY and not array.nchunks_initialized:
        raise ValueError(f"it announces {array.nbytes:,} bytes, but none of its {array.nchunks:,} chunks is stored")


def missing_chunks(array: AnyArray) -> int:
    """Return the number of chunks that a Zarr array does not store; missing chunks are read as its fill value."""
    return max(0, array.nchunks - array.nchunks_initialized)
