"""Prediction of windows of images on disk, by one network or an ensemble."""

import itertools
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from src.files.arrays import content_hash
from src.files.grey import check_finite, grey_range, scaled
from src.files.image import Image
from src.model.engine import Engine, fastest
from src.model.trained import logits, predict_window
from src.model.unet import UNet
from src.prediction.progress import show_progress
from src.prediction.store import Held, Store
from src.saying import say
from src.tiles.blocks import block_side, blocks
from src.tiles.geometry import covering_side, kept_side, margin
from src.tiles.overlap import Read, Window, mirrored_places, mirrored_range

KEPT_SIDES = (256, 512, 1024, 2048)  # candidate sides, in pixels, of the part of a tile that is kept
OUT_OF_MEMORY = (
    "DefaultCPUAllocator",
    "MPS backend out of memory",
    "Invalid buffer size",
)  # texts in PyTorch's error messages when memory runs out
SMALLEST_BLOCK = 128  # smallest side of a block in pixels


class PlaneReader:
    """Reader of windows of one plane, scaled to [0, 1] as in training and mirrored beyond the border of the image.

    Because blocks are predicted row by row, a band of rows over the whole width is held in memory, and the next band
    can be read in the background while blocks of the current band are predicted. Rows that two bands share are read
    only once.

    Args:
        image: the image on disk.
        plane: number of the plane in the stack, from 0.
        device: device on which windows are returned.
        threads: executor that reads the next band in the background.
    """

    def __init__(self, image: Image, plane: int, device: torch.device, threads: ThreadPoolExecutor) -> None:
        self.image, self.plane, self.device, self.threads = image, plane, device, threads
        self.low, self.high = grey_range(image, plane)
        self.first, self.band = 0, np.zeros((0, 0, 0))
        self.ahead: tuple[int, int, Future[np.ndarray]] | None = None

    def __call__(self, window: Window) -> Tensor:
        """Return the window as ``(1, C, height, width)`` float32."""
        rows, columns = mirrored_places(self.image.height, self.image.width, window)
        first, last = rows.min(), rows.max() + 1
        held = self.first <= first and last <= self.first + self.band.shape[1]
        first, band = (self.first, self.band) if held else (first, self._band(first, last))
        grey = band[:, rows - first][..., columns]
        return torch.from_numpy(scaled(grey, self.low, self.high)).to(self.device)[None]

    def read_ahead(self, first: int, last: int) -> None:
        """Start to read rows ``first`` to ``last`` (exclusive) in the background, for the next call of `hold`."""
        self.ahead = first, last, self.threads.submit(self._next_band, self.first, self.band, first, last)

    def hold(self, first: int, last: int) -> None:
        """Hold rows ``first`` to ``last`` (exclusive) in memory, instead of the rows held so far."""
        if self.ahead is not None and self.ahead[:2] == (first, last):
            band = self.ahead[2].result()
        else:
            band = self._next_band(self.first, self.band, first, last)
        self.first, self.band = first, band

    def _next_band(self, before: int, band: np.ndarray, first: int, last: int) -> np.ndarray:
        """Return rows ``first`` to ``last`` (exclusive), read from disk only where ``band`` does not contain them.

        ``band`` begins at row ``before``. ``last`` is rounded up to whole chunks, whose rows are decoded together.
        """
        step = self.image.chunk_rows
        last = min(self.image.height, -(-last // step) * step)
        held = before + band.shape[1]
        if not before <= first < held:
            return self._band(first, last)
        known = band[:, first - before :]
        return known if last <= held else np.concatenate([known, self._band(held, last)], axis=1)

    def _band(self, first: int, last: int) -> np.ndarray:
        band = self.image.band(self.plane, first, last)
        check_finite(band, self.image.file)
        return band


class Predictor:
    """Prediction of windows by an ensemble (the mean probabilities of its networks), in tiles that fit into memory.

    Args:
        networks: the ensemble, one or more networks of the same depth, padding, channels and classes.
        device: device to compute on.
        dtype: number format to compute in.
        tta: test-time augmentation, a key of `tiles.symmetry.AVERAGES`.
        tile: side of the networks' input in pixels; None chooses it automatically.
        engine: one of `model.engine.ENGINES`, or ``auto`` for the fastest.

    Raises:
        ValueError: the networks differ in depth, padding, channels or classes, or cannot take tiles of this side.
    """

    def __init__(
        self,
        networks: Sequence[UNet],
        device: torch.device,
        dtype: torch.dtype,
        tta: str,
        tile: int | None,
        engine: str = "auto",
    ) -> None:
        shapes = {(each.depth, each.padded, each.in_channels, each.classes) for each in networks}
        if len(shapes) > 1:
            raise ValueError(f"expected networks of one depth, padding, channels and classes, but got {sorted(shapes)}")
        ((self.depth, self.padded, self.in_channels, self.classes),) = shapes
        if tile is not None:
            kept_side(tile, self.depth, self.padded)
        elif engine == "compiled":
            tile = covering_side(KEPT_SIDES[1], self.depth, self.padded)
        self.networks, self.engine = networks, engine
        self.device, self.dtype, self.tta, self.tile = device, dtype, tta, tile
        self._engines: dict[torch.dtype, list[Engine]] = {}

    @property
    def engines(self) -> list[Engine]:
        """The inference engine of each network, for the current number format `dtype`."""
        if self.dtype not in self._engines:
            name = fastest(self.device, self.dtype) if self.engine == "auto" else self.engine
            self._engines = {self.dtype: [Engine(each, name, self.device, self.dtype) for each in self.networks]}
        return self._engines[self.dtype]

    @cached_property
    def weights(self) -> list[str]:
        """A hash of the weights of each network."""
        return [content_hash(*(v.cpu().numpy() for v in m.state_dict().values())) for m in self.networks]

    def rows(self, window: Window, height: int) -> tuple[int, int]:
        """Return which rows (first, last + 1) of a plane with ``height`` rows must be read to predict a window."""
        reach = margin(self.depth, self.padded) + 2**self.depth  # sides of tiles are rounded up by up to one grid step
        kept = 1 if self.tile is None else self.kept_side()
        extent = -(-window.height // kept) * kept + 2 * reach
        read = mirrored_range(height, window.top - reach, extent)
        return int(read.min()), int(read.max()) + 1

    def block_side(self, height: int, width: int) -> int:
        """Return the side in pixels of the blocks of a plane; if the tile side is set, blocks contain whole tiles."""
        if self.tile is None:
            return block_side(height, width)
        return -(-SMALLEST_BLOCK // self.kept_side()) * self.kept_side()

    def __call__(self, read: Read, window: Window) -> np.ndarray:
        """Predict a window: class probabilities ``(K, height, width)`` float32; tiles are halved if memory runs out."""
        probabilities: np.ndarray = self.together([read], window)[0]
        return probabilities

    def together(self, reads: Sequence[Read], window: Window) -> np.ndarray:
        """Predict the same window of N planes in one batch: class probabilities ``(N, K, height, width)`` float32."""
        while True:
            try:
                return self._predict(lambda place: torch.cat([read(place) for read in reads]), window)
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error) or not self._halve_tile():
                    raise
            torch.cuda.empty_cache()
            if self.device.type == "mps":
                torch.mps.empty_cache()

    @torch.inference_mode()
    def _predict(self, read: Read, window: Window) -> np.ndarray:
        each = [predict_window(engine, read, window, self.tta, self.tile) for engine in self.engines]
        mean: np.ndarray = torch.stack(each).mean(dim=0).float().cpu().numpy()
        return mean

    @torch.inference_mode()
    def apart(self, read: Read, height: int, width: int) -> np.ndarray:
        """Return class probabilities ``(N, K, height, width)`` float32 of a whole plane by each of the N networks."""
        found = np.empty((len(self.networks), self.classes, height, width), np.float32)
        for window in blocks(height, width, self.block_side(height, width)):
            place = slice(window.top, window.top + window.height), slice(window.left, window.left + window.width)
            for own, engine in zip(found, self.engines, strict=True):
                own[:, *place] = predict_window(engine, read, window, self.tta, self.tile)[0].float().cpu().numpy()
        return found

    def _halve_tile(self) -> bool:
        """Halve the kept side of tiles; return False, and change nothing, if tiles are already as small as possible."""
        kept = self.kept_side() // 2
        if kept < 2**self.depth:
            return False
        self.tile = covering_side(kept, self.depth, self.padded, kept)
        say(f"out of memory: continues with tiles of {self.tile} px")
        return True

    def kept_side(self) -> int:
        """Return the side in pixels of the part of a tile that is kept; 512 until the tile side is chosen."""
        return 512 if self.tile is None else kept_side(self.tile, self.depth, self.padded)

    @torch.inference_mode()
    def measure_tile(self, largest: int) -> None:
        """Measure which tile side predicts fastest, and use it; tiles keep at most ``largest`` pixels along an axis."""
        rates: dict[int, float] = {}
        for kept in KEPT_SIDES:
            if kept > max(largest, KEPT_SIDES[0]):
                break
            side = covering_side(kept, self.depth, self.padded, kept)
            seen = torch.rand((1, self.in_channels, side, side), device=self.device)
            try:
                for _ in range(2):  # the first call also chooses convolution kernels
                    started = time.perf_counter()
                    logits(self.engines[0], seen).sum().item()
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                break
            rates[side] = kept**2 / (time.perf_counter() - started) / 1e6
            if rates[side] < max(rates.values()):
                break
        if not rates:  # no tile fits into memory: predicting the first block halves the smallest
            self.tile = covering_side(KEPT_SIDES[0], self.depth, self.padded, KEPT_SIDES[0])
            return
        self.tile = max(rates, key=lambda side: rates[side])
        say(f"tile {self.tile} px: {rates[self.tile]:.2f} Mpx/s measured")

    def difference(self, read: PlaneReader, window: Window) -> float:
        """Return the largest difference in probability between predicting a window in tiles and in one pass."""
        side = max(window.height, window.width)
        tile, predicted = self.tile, []
        try:
            for kept in (min(self.kept_side(), -(-side // 2)), side + 2**self.depth):
                self.tile = covering_side(kept, self.depth, self.padded, kept)
                predicted.append(self._predict(read, window)[0])
        finally:
            self.tile = tile
        return float(np.abs(predicted[0] - predicted[1]).max())


def verify(image: Image, predictor: Predictor, seed: int) -> None:
    """Check that a random window is predicted alike in tiles and in one pass, and print the largest difference.

    Raises:
        ValueError: the probabilities differ by more than rounding errors explain.
    """
    random, side = np.random.default_rng(seed), 2 * predictor.kept_side()
    height, width = min(image.height, side), min(image.width, side)
    top, left = random.integers(image.height - height + 1), random.integers(image.width - width + 1)
    window = Window(int(top), int(left), height, width)
    with ThreadPoolExecutor(1) as threads:
        difference = predictor.difference(PlaneReader(image, 0, predictor.device, threads), window)
    say(f"tiles against one pass, {height}×{width} px at ({top}, {left}): largest difference {difference:.1e}")
    allowed = 1e-4 if predictor.dtype == torch.float32 else 0.1
    if difference > allowed:
        raise ValueError(f"expected tiles to equal one pass to {allowed:g}, but got a difference of {difference:g}")


def fill(store: Store | Held, predictor: Predictor, shard: int, shards: int) -> None:
    """Predict the missing blocks of a store in every ``shards``-th row of blocks, starting with row ``shard``."""
    image = store.image
    tops = {(plane, window.top) for plane in range(image.planes) for window in store.blocks}
    own = {row for number, row in enumerate(sorted(tops)) if number % shards == shard}
    todo = [(plane, window) for plane, window in store.missing() if (plane, window.top) in own]
    rows = {(plane, window.top): predictor.rows(window, image.height) for plane, window in todo}
    next_row = dict(itertools.pairwise(rows))
    total = sum(window.height * window.width for _, window in todo)
    with show_progress(image.file.name, total, bar=len(todo) > 1) as advance, ThreadPoolExecutor(1) as threads:
        read = None
        for plane, window in todo:
            if read is None or read.plane != plane:
                read = PlaneReader(image, plane, predictor.device, threads)
            if (plane, window.top) in rows:
                read.hold(*rows.pop((plane, window.top)))
                below = next_row.get((plane, window.top))
                if below and below[0] == plane:
                    read.read_ahead(*rows[below])
            predicted = predictor(read, window)
            store.write(plane, window, predicted if len(predicted) > 2 else predicted[1])
            advance(window.height * window.width)


def fill_together(stores: Sequence[Held], predictor: Predictor) -> None:
    """Predict small images of the same size in one batch, because single small tiles leave threads and devices idle."""
    (window,) = stores[0].blocks
    with ThreadPoolExecutor(1) as threads:
        reads = [PlaneReader(store.image, 0, predictor.device, threads) for store in stores]
        for store, predicted in zip(stores, predictor.together(reads, window), strict=True):
            store.write(0, window, predicted if len(predicted) > 2 else predicted[1])


def _is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out; CPU and Apple's GPU only say so in the error's message."""
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or any(words in str(error) for words in OUT_OF_MEMORY)
