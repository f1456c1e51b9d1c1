"""Figures and summaries of training images, of training tiles, and of their weights in the loss."""

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from src.data.patches import Patches, image_tensor
from src.pages.pictures import CLASS_COLOURS, colours, outlines, reduced

LARGEST = 384  # pixels of the longer side of a picture in a figure


def images_figure(patches: Patches, most: int = 3) -> Figure:
    """Draw the first training images (at most ``most``), each with its classes and its weight map (eq. 2)."""
    count = min(most, len(patches.images))
    figure = Figure(figsize=(9, 3.1 * count), layout="constrained")
    for row, axes in enumerate(figure.subplots(count, 3, squeeze=False)):
        image, target, weight = patches.images[row], patches.targets[row], patches.weights[row]
        picture = colours(image_tensor(image).numpy())
        height, width = target.shape
        axes[0].imshow(reduced(picture, LARGEST), extent=(0, width, height, 0))
        _show(axes[1:], picture, target, weight, figure)
        axes[0].set_title(patches.names[row], loc="left", fontsize="medium")
        axes[1].set_title("classes", loc="left", fontsize="medium")
        axes[2].set_title("weight", loc="left", fontsize="medium")
        for each in axes:
            each.set_axis_off()
    return figure


def tiles_figure(patches: Patches, draws: int = 6) -> Figure:
    """Draw the first ``draws`` training tiles, one in each column.

    The first row shows whole tiles, with a frame around the part that the network predicts; the second row shows the
    classes in this part, the third row its weights in the loss.
    """
    figure = Figure(figsize=(9, 9 * 3 / draws * 1.12), layout="constrained")
    for draw, axes in enumerate(figure.subplots(3, draws).T):
        tile = patches[draw]
        whole, target, weight = colours(tile["image"].numpy()), tile["target"].numpy(), tile["weight"].numpy()
        context, side = patches.context, len(target)
        part = whole[context : context + side, context : context + side]
        axes[0].imshow(reduced(whole, LARGEST), extent=(0, len(whole), len(whole), 0))
        frame = Rectangle((context, context), side, side, fill=False, edgecolor=to_hex(CLASS_COLOURS[0] / 255), lw=1.5)
        axes[0].add_patch(frame)
        axes[0].set_title(f"{draw}: {tile['name']}", loc="left", fontsize="x-small")
        _show(axes[1:], part, target, weight, figure if draw == draws - 1 else None)
        for each in axes:
            each.set_axis_off()
    return figure


def draws_summary(patches: Patches, draws: int) -> str:
    """Describe in sentences how many of the first ``draws`` tiles are distinct, and from how many images they come."""
    different, names = count_draws(patches, draws)
    least, most = min(names.values()), max(names.values())
    tile = patches[0]
    return (
        f"Of {draws} tiles drawn, {different} are distinct. They come from {len(names)} training images, each drawn "
        f"{least} to {most} times. A tile is {tile['image'].shape[-1]} pixels wide; the network predicts the inner "
        f"{tile['target'].shape[-1]} of them."
    )


def weights_summary(patches: Patches, classes: int) -> str:
    """Describe in sentences the range of the pixel weights and the share of each class in the total weight."""
    shares = ", ".join(f"class {number} {share:.0%}" for number, share in enumerate(patches.class_shares(classes)))
    least, most = min(each.min() for each in patches.weights), max(each.max() for each in patches.weights)
    return f"Weights of pixels are {least:.2g} to {most:.3g}. Shares of the total weight: {shares}."


def count_draws(patches: Patches, draws: int) -> tuple[int, Counter[str]]:
    """Return the number of distinct tiles among the first ``draws`` tiles, and the number of tiles from each image."""
    contents, names = set(), Counter(dict.fromkeys(patches.names, 0))
    for draw in range(draws):
        tile = patches[draw]
        contents.add(hashlib.sha256(tile["image"].numpy().tobytes()).digest())
        names[str(tile["name"])] += 1
    return len(contents), names


def _show(
    axes: Sequence[Axes], picture: np.ndarray, target: np.ndarray, weight: np.ndarray, figure: Figure | None
) -> None:
    """Draw a picture tinted by its classes, and its weights, into two axes; with ``figure``, also draw a colour bar."""
    height, width = target.shape
    extent = (0, width, height, 0)
    classes, tint = picture.copy(), CLASS_COLOURS[(target - 1) % len(CLASS_COLOURS)]
    classes[target > 0] = (0.75 * classes + 0.25 * tint)[target > 0].astype(np.uint8)
    classes[outlines(target)] = tint[outlines(target)]
    axes[0].imshow(reduced(classes, LARGEST), extent=extent)
    shown = reduced(weight.astype(np.float32), LARGEST)
    drawn = axes[1].imshow(shown, extent=extent, cmap="viridis", norm=LogNorm(0.1, max(20, float(weight.max()))))
    if figure is not None:
        figure.colorbar(drawn, ax=axes[1], shrink=0.8, ticks=[0.1, 1, 10], format="%g")
