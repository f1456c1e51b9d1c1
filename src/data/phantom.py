"""Synthetic stacks that look like serial-section electron micrographs of nerve tissue, with ground-truth labels.

They imitate ISBI-2012 (Drosophila ventral nerve cord, 4 x 4 x 50 nm per voxel). ``_tissue`` lays out the cells and
``_picture`` renders the images. Lengths are in pixels; grey values range from 0 to 255.
"""

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from scipy.spatial import cKDTree
from scipy.special import ndtri
from skimage.segmentation import find_boundaries

from src.data.stack import Stack, everywhere
from src.instances import pieces

AREA_PER_CELL = 2300  # slice area in px per visible cell; ISBI-2012 shows 114 cells in 512 x 512 px
SMALLEST_AREA_PER_CELL = 512  # px; with less, membranes would fill the slice
SMALLEST_CELL = 30  # px; smaller cells become membrane
SMALLEST_SIZE = 32  # smallest height and width of a slice in px
MARGIN = 40  # px of tissue around the image, so that its edge cuts cells as in a real crop


def phantom(
    slices: int = 30, size: int = 256, cells: int | None = None, organelles: bool = False, seed: int = 0
) -> Stack:
    """Generate a synthetic stack of tissue with ground-truth labels, for training and testing without a download.

    The same arguments always give the same bytes. The cells in a slice never touch, so they equal the 4-connected and
    the 8-connected components of ``targets > 0``.

    Args:
        slices: number of slices D.
        size: height and width of a slice in pixels.
        cells: approximate number of cells per slice; None means the density of ISBI-2012 (about 28 cells at size 256).
            At higher densities, the smallest cells are lost in the membranes: 60 cells at size 256 leave about 46.
        organelles: whether mitochondria are a separate class in the targets; the images always show mitochondria.
        seed: seed of the random numbers; each seed gives a different tissue.

    Returns:
        Arrays of shape ``(D, size, size)``: images, uint8; targets, uint8 (0 membrane, 1 cell, 2 organelle); and
        instances, int32 (0 membrane, else the number of the cell, which is the same in all slices).

    Raises:
        ValueError: there would be no slice or no cell, the slices are too small, or the cells do not fit.
    """
    if slices < 1 or size < SMALLEST_SIZE:
        raise ValueError(f"expected slices >= 1 and size >= {SMALLEST_SIZE}, but got {slices} slices of size {size}")
    most = size**2 // SMALLEST_AREA_PER_CELL
    cells = max(1, round(size**2 / AREA_PER_CELL)) if cells is None else cells
    if not 1 <= cells <= most:
        raise ValueError(f"expected 1 to {most} cells at size {size}, but got {cells}")
    rng = np.random.default_rng(seed)
    instances, mitochondria = _tissue(rng, slices, size, cells)
    targets = (instances > 0).astype(np.uint8)
    if organelles:
        targets[mitochondria] = 2
    images = _picture(rng, instances, mitochondria)
    return Stack(images, targets, instances, everywhere(targets), [f"slice_{z:02d}" for z in range(slices)])


def _noise(rng: np.random.Generator, shape: tuple[int, int, int], grain: int, depth: float) -> np.ndarray:
    """Generate a smooth random field of standard deviation about 1, ``(slices, size, size)`` float32.

    Args:
        rng: the random number generator.
        shape: shape of the field.
        grain: approximate distance in pixels over which the field varies within a slice.
        depth: number of slices over which the field varies (sigma of a Gaussian).
    """
    slices, size, _ = shape
    side = max(8, int(np.ceil(2 * size / grain)))  # samples half a grain apart; fewer than 8 are too few to be random
    coarse = rng.standard_normal((slices, side, side))
    coarse = gaussian_filter(coarse, (depth, 1, 1), mode=("reflect", "wrap", "wrap"))
    coarse = (coarse / coarse.std()).astype(np.float32)
    full = (side * grain // 2,) * 2
    return np.stack([cv2.resize(plane, full, interpolation=cv2.INTER_CUBIC)[:size, :size] for plane in coarse])


def _walk(rng: np.random.Generator, slices: int, *shape: int) -> np.ndarray:
    """Generate values that vary smoothly from slice to slice, ``(slices, *shape)``, with standard deviation about 1."""
    ends = 12  # reach of the filter; these slices are cut off, so that boundary effects do not show
    steps: np.ndarray = gaussian_filter1d(rng.standard_normal((slices + 2 * ends, *shape)), 3, axis=0)
    walk: np.ndarray = steps[ends:-ends] * np.sqrt(2 * np.sqrt(np.pi) * 3)
    return walk


def _tissue(rng: np.random.Generator, slices: int, size: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Lay out the tissue: return cell numbers (int32) and a mitochondria mask (bool), both ``(slices, size, size)``."""
    shape = (slices, size, size)
    width = size + 2 * MARGIN
    # 1.6 and the other factors in this file were set by eye, so that grey values, cell sizes and motion resemble
    # those of ISBI-2012.
    centres, radii, axes = _seeds(rng, width, round(1.6 * cells * width**2 / size**2))
    paths = centres + _walk(rng, slices, *centres.shape) * (3 + 0.3 * radii[:, None])
    radii = radii * np.exp(0.18 * _walk(rng, slices, len(radii)))
    place = _places(rng, shape)
    half_widths = np.clip(1.9 + 1.1 * _noise(rng, shape, 24, 1), 1, 6)
    organs = _organs(rng, paths, radii, axes, width)
    instances = np.zeros(shape, np.int32)
    mitochondria = np.zeros(shape, bool)
    for z in range(slices):
        cell = _nearest(place[z], paths[z], radii[z], axes)
        instances[z], distance = _membranes(cell, half_widths[z])
        organ = cv2.remap(organs[z], place[z, 1], place[z, 0], cv2.INTER_NEAREST)
        mitochondria[z] = _rounded((organ == instances[z]) & (organ > 0) & (distance > half_widths[z] + 4), 9)
    return instances, mitochondria


def _seeds(rng: np.random.Generator, width: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place elongated cells at random: few large ones and many small ones.

    Returns:
        The centres ``(count, 2)``, the radii ``(count,)``, and the vectors ``(count, 2)`` from the centre of each cell
        to one of the two seeds on its long axis; the other seed lies opposite.
    """
    # Quantiles of a log-normal distribution, largest first; random radii might include one giant cell.
    radii = np.exp(0.75 * np.minimum(ndtri((np.arange(count, 0, -1) - 0.5) / count), 2))
    radii *= width / np.sqrt(np.pi * np.sum(radii**2))
    centres = np.zeros((count, 2))
    for i in range(count):
        # Each cell takes the emptiest of 30 random positions; large cells come first, so that they cover no small ones.
        tries = rng.uniform(0, width, (30, 2))
        gaps = np.linalg.norm(tries[:, None] - centres[:i], axis=2) - radii[:i]
        centres[i] = tries[np.argmax(gaps.min(axis=1, initial=width))]
    angles, lengths = rng.uniform(0, np.pi, count), radii * rng.uniform(0, 0.9, count)
    return centres, radii, np.stack([np.sin(angles) * lengths, np.cos(angles) * lengths], axis=1)


def _places(rng: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the tissue coordinates (y, x) of each pixel, ``(slices, 2, size, size)`` float32: a randomly bent grid.

    The bending curves the membranes.
    """
    grid: np.ndarray = np.mgrid[MARGIN : MARGIN + shape[1], MARGIN : MARGIN + shape[2]]
    bends = [8 * _noise(rng, shape, 70, 1.5) + 3.5 * _noise(rng, shape, 24, 0.5) for _ in range(2)]
    return np.asarray(grid + np.stack(bends, axis=1), np.float32)


def _nearest(place: np.ndarray, centres: np.ndarray, radii: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Return the number (from 1) of the cell at each pixel, ``(size, size)`` int32, from a power diagram of seeds.

    Args:
        place: tissue coordinates of the pixels, ``(2, size, size)``.
        centres: centres of the cells, ``(N, 2)``.
        radii: radii of the cells, ``(N,)``.
        axes: vectors from the centre of each cell to one of its two seeds, ``(N, 2)``; the other seed lies opposite.
    """
    seeds = np.concatenate([centres - axes, centres + axes])
    # Seeds with a small radius are lifted above the slice; the nearest seed in 3-D then has the least power distance.
    powers = radii**2
    heights = np.sqrt(powers.max() - powers)
    tree = cKDTree(np.column_stack([seeds, np.tile(heights, 2)]))
    points = np.column_stack([place.reshape(2, -1).T, np.zeros(place[0].size)])
    nearest: np.ndarray = np.asarray(tree.query(points)[1])
    return (nearest % len(centres) + 1).reshape(place.shape[1:]).astype(np.int32)


def _membranes(cell: np.ndarray, half_width: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut membranes of at least ``2 + 2 * half_width`` pixels between cells.

    Returns:
        Cell numbers, 0 on membranes; and the distance from each pixel to the nearest membrane midline; both ``(H, W)``.
    """
    walls = find_boundaries(cell, connectivity=2, mode="thick")
    distance = cv2.distanceTransform((~walls).astype(np.uint8), cv2.DIST_L2, 5)
    inside = _rounded(distance > half_width, 7)
    return _largest_pieces(np.where(inside, cell, 0)), distance


def _rounded(mask: np.ndarray, width: int) -> np.ndarray:
    """Round off a mask by morphological opening with a disc of ``width`` pixels in diameter."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, disc).astype(bool)


def _largest_pieces(numbers: np.ndarray) -> np.ndarray:
    """Keep only the largest connected component of each cell, if it is large enough; set all other pixels to 0."""
    found = pieces(numbers)
    areas = np.bincount(found.ravel())
    owners = np.zeros(len(areas), int)
    owners[found] = numbers
    largest = np.zeros(numbers.max() + 1, int)
    by_area = np.argsort(areas, kind="stable")
    largest[owners[by_area]] = by_area  # larger components come later and overwrite smaller ones
    return np.where((found == largest[numbers]) & (areas[found] >= SMALLEST_CELL), numbers, 0)


def _organs(rng: np.random.Generator, paths: np.ndarray, radii: np.ndarray, axes: np.ndarray, width: int) -> np.ndarray:
    """Draw mitochondria as ellipses whose pixels hold the cell number, ``(slices, width, width)`` float32.

    The ellipses are in tissue coordinates, before the grid of `_places` bends them.
    """
    presence = _walk(rng, *radii.shape) + 0.4
    sites = axes * rng.uniform(-0.7, 0.7, (len(axes), 1))
    canvas = np.zeros((len(radii), width, width), np.float32)
    for z, i in np.argwhere((presence > 0) & (radii > 14)):
        centre = paths[z, i] + sites[i]
        long = min(0.6 * radii[z, i], 26) * min(1, 0.6 + presence[z, i])
        angle = np.degrees(np.arctan2(*axes[i]))
        cv2.ellipse(canvas[z], (centre[::-1], (2 * long, 1.3 * long), angle), int(i) + 1, cv2.FILLED)
    return canvas


def _picture(rng: np.random.Generator, instances: np.ndarray, mitochondria: np.ndarray) -> np.ndarray:
    """Render the tissue as an electron microscope would record it, ``(slices, size, size)`` uint8."""
    shape = instances.shape
    grey = _cytoplasm(rng, instances)
    grey += (_mitochondria(rng, mitochondria) - grey) * _blur(mitochondria, 1)
    membrane = instances == 0
    stain = np.clip(0.95 + 0.25 * _noise(rng, shape, 30, 1), 0.55, 1.1) + 0.1 * _speckle(rng, shape, 2)
    # Membranes cut obliquely appear as broad patches, which are paler than lines.
    stain *= 1.3 - 0.6 * _blur(membrane, 4)
    # Squared, because the dark line in a micrograph is narrower than the membrane as annotators draw it.
    grey += (45 - grey) * _blur(membrane, 1.6) ** 2 * stain
    return _photograph(rng, grey)


def _blur(volume: np.ndarray, sigma: float) -> np.ndarray:
    """Apply a Gaussian blur within each slice."""
    blurred: np.ndarray = gaussian_filter(volume.astype(np.float32), (0, sigma, sigma))
    return blurred


def _speckle(rng: np.random.Generator, shape: tuple[int, int, int], sigma: float) -> np.ndarray:
    """Generate a random field of standard deviation 1, independent from slice to slice, blurred by ``sigma`` pixels."""
    field: np.ndarray = _blur(rng.standard_normal(shape, np.float32), sigma) * np.float32(2 * np.sqrt(np.pi) * sigma)
    return field


def _cytoplasm(rng: np.random.Generator, instances: np.ndarray) -> np.ndarray:
    """Render the inside of cells: a grey value per cell, granularity, vesicles (rings) and microtubules (dots)."""
    shape = instances.shape
    shades = rng.normal(156, 10, instances.max() + 1).astype(np.float32)
    crowd = np.clip(0.9 + 0.6 * _noise(rng, shape, 50, 2), 0, 3)
    vesicles = (rng.random(shape, np.float32) < 0.004 * crowd).astype(np.float32)
    dots = (rng.random(shape, np.float32) < 0.002).astype(np.float32)
    rings = 4200 * _blur(vesicles, 2.4) - 1800 * _blur(vesicles, 1.5)
    grains = 9 * _speckle(rng, shape, 2) + 11 * _noise(rng, shape, 30, 1)
    grey: np.ndarray = shades[instances] + grains - rings - 800 * _blur(dots, 1.3)
    return grey


def _mitochondria(rng: np.random.Generator, mitochondria: np.ndarray) -> np.ndarray:
    """Render mitochondria: a dark rim around curved stripes (cristae)."""
    cristae = np.sin(25 * _noise(rng, mitochondria.shape, 60, 1))
    rim = 1 - np.abs(2 * _blur(mitochondria, 2) - 1)
    grey: np.ndarray = 95 + 17 * cristae - 50 * rim
    return grey


def _photograph(rng: np.random.Generator, grey: np.ndarray) -> np.ndarray:
    """Simulate image acquisition: uneven illumination, contrast that differs between slices, and shot noise."""
    slices = len(grey)
    light = 8 * _noise(rng, grey.shape, 150, 0.5) + rng.normal(0, 8, (slices, 1, 1))
    contrast = rng.normal(1.1, 0.06, (slices, 1, 1))
    shot = np.sqrt(np.maximum(grey, 0)) * _speckle(rng, grey.shape, 0.8) * 1.3
    recorded: np.ndarray = 126 + (grey - 126) * contrast + light + shot
    clipped: np.ndarray = np.clip(recorded, 0, 255)
    return clipped.astype(np.uint8)
