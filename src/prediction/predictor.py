"""Windows of images on disk through one network or several, on this machine."""

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
from src.prediction.progress import told
from src.prediction.store import Held, Store
from src.saying import say
from src.tiles.blocks import block_side
from src.tiles.geometry import covering_side, kept_side, margin
from src.tiles.overlap import Read, Window, mirrored_places, mirrored_range

KEPT_SIDES = (256, 512, 1024, 2048)  # of the tiles to choose from, in pixels
OUT_OF_MEMORY = ("DefaultCPUAllocator", "MPS backend out of memory", "Invalid buffer size")  # in messages of PyTorch
SMALLEST_BLOCK = 128  # pixels


class PlaneReader:
    """Reads windows of one plane, scaled to [0, 1] as in training and mirrored beyond its border.

    A band of rows over the whole width may be held in memory, because blocks are predicted row by row,
    and the next band be read while this one is predicted. What two bands have in common is read once.

    Args:
        image: on disk.
        plane: its number in the stack.
        device: where windows are wanted.
        threads: what reads ahead.
    """

    def __init__(self, image: Image, plane: int, device: torch.device, threads: ThreadPoolExecutor) -> None:
        self.image, self.plane, self.device, self.threads = image, plane, device, threads
        self.low, self.high = grey_range(image, plane)
        self.first, self.band = 0, np.zeros((0, 0, 0))
        self.ahead: tuple[int, int, Future] | None = None

    def __call__(self, window: Window) -> Tensor:
        """The window as ``(1, C, height, width)`` float32."""
        rows, columns = mirrored_places(self.image.height, self.image.width, window)
        first, last = rows.min(), rows.max() + 1
        held = self.first <= first and last <= self.first + self.band.shape[1]
        first, band = (self.first, self.band) if held else (first, self._band(first, last))
        grey = band[:, rows - first][..., columns]
        return torch.from_numpy(scaled(grey, self.low, self.high)).to(self.device)[None]

    def read_ahead(self, first: int, last: int) -> None:
        """Start to read the rows from ``first`` to ``last`` (excluded), which `hold` will ask for."""
        self.ahead = first, last, self.threads.submit(self._going_on, self.first, self.band, first, last)

    def hold(self, first: int, last: int) -> None:
        """Keep the rows from ``first`` to ``last`` (excluded) in memory."""
        ready = self.ahead is not None and self.ahead[:2] == (first, last)
        going_on = self.ahead[2].result() if ready else self._going_on(self.first, self.band, first, last)
        self.first, self.band = first, going_on

    def _going_on(self, before: int, band: np.ndarray, first: int, last: int) -> np.ndarray:
        """The rows from ``first`` on, at least up to ``last``, of which a band from row ``before`` on holds the first.

        It ends where rows that are decoded together end.
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
    """Predicts windows by the mean of several networks, in tiles that fit into memory.

    Args:
        networks: of the same channels and classes.
        device: where to compute.
        dtype: number format to compute in.
        tta: a key of `tiles.symmetry.AVERAGES`.
        tile: side of the networks' input in pixels; None chooses.
        engine: one of `model.engine.ENGINES`, or ``auto``.

    Raises:
        ValueError: the networks differ in shape, or the tile does not fit them.
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
        """What computes each network in the present number format."""
        if self.dtype not in self._engines:
            name = fastest(self.device, self.dtype) if self.engine == "auto" else self.engine
            self._engines = {self.dtype: [Engine(each, name, self.device, self.dtype) for each in self.networks]}
        return self._engines[self.dtype]

    @cached_property
    def weights(self) -> list[str]:
        """A hash of the weights of each network."""
        return [content_hash(*(v.cpu().numpy() for v in m.state_dict().values())) for m in self.networks]

    def rows(self, window: Window, height: int) -> tuple[int, int]:
        """The first row of a plane that tiles read for a window, and the one after the last."""
        reach = margin(self.depth, self.padded) + 2**self.depth  # which fills tiles up to a valid side
        kept = 1 if self.tile is None else self.kept_side()
        extent = -(-window.height // kept) * kept + 2 * reach
        read = mirrored_range(height, window.top - reach, extent)
        return int(read.min()), int(read.max()) + 1

    def block_side(self, height: int, width: int) -> int:
        """Side of the blocks of a plane, in pixels: of tiles that were asked for whole ones, but no small files."""
        if self.tile is None:
            return block_side(height, width)
        return -(-SMALLEST_BLOCK // self.kept_side()) * self.kept_side()

    def __call__(self, read: Read, window: Window) -> np.ndarray:
        """Class probabilities ``(K, height, width)`` float32; a tile that does not fit into memory is halved."""
        return self.together([read], window)[0]

    def together(self, reads: Sequence[Read], window: Window) -> np.ndarray:
        """Class probabilities ``(N, K, height, width)`` float32 of the same window of N planes, as of each alone."""
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
        return torch.stack(each).mean(dim=0).float().cpu().numpy()

    def _halve_tile(self) -> bool:
        """Choose tiles that keep half as much; False if they are the smallest already."""
        kept = self.kept_side() // 2
        if kept < 2**self.depth:
            return False
        self.tile = covering_side(kept, self.depth, self.padded, kept)
        say(f"out of memory: goes on with tiles of {self.tile} px")
        return True

    def kept_side(self) -> int:
        """Pixels of a tile that are kept, along one axis."""
        return 512 if self.tile is None else kept_side(self.tile, self.depth, self.padded)

    @torch.inference_mode()
    def measure_tile(self, largest: int) -> None:
        """Choose the tile side that predicts most pixels a second here, of those that keep up to ``largest`` px."""
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
        if not rates:  # the first block will find out what fits
            self.tile = covering_side(KEPT_SIDES[0], self.depth, self.padded, KEPT_SIDES[0])
            return
        self.tile = max(rates, key=rates.get)
        say(f"tile {self.tile} px: {rates[self.tile]:.2f} Mpx/s measured")

    def difference(self, read: PlaneReader, window: Window) -> float:
        """Largest difference of a probability in this window between tiles and one pass: the proof of no seams."""
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
    """Compare tiles with one pass on a random window, and say by how much they differ.

    Raises:
        ValueError: they differ by more than rounding can.
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
    """Predict the blocks that are missing; of several shards, every n-th row of blocks is this one's."""
    image = store.image
    tops = {(plane, window.top) for plane in range(image.planes) for window in store.blocks}
    own = {row for number, row in enumerate(sorted(tops)) if number % shards == shard}
    todo = [(plane, window) for plane, window in store.missing() if (plane, window.top) in own]
    rows = {(plane, window.top): predictor.rows(window, image.height) for plane, window in todo}
    next_row = dict(itertools.pairwise(rows))
    total = sum(window.height * window.width for _, window in todo)
    with told(image.file.name, total, bar=len(todo) > 1) as advance, ThreadPoolExecutor(1) as threads:
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
    """Predict small images of one size at once, because a tile of few pixels leaves threads and devices idle."""
    (window,) = stores[0].blocks
    with ThreadPoolExecutor(1) as threads:
        reads = [PlaneReader(store.image, 0, predictor.device, threads) for store in stores]
        for store, predicted in zip(stores, predictor.together(reads, window), strict=True):
            store.write(0, window, predicted if len(predicted) > 2 else predicted[1])


def _is_out_of_memory(error: BaseException) -> bool:
    """CUDA and OpenVINO have a class for it, the CPU's allocator and Apple's GPU only words."""
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or any(words in str(error) for words in OUT_OF_MEMORY)
