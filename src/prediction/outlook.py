"""Warnings about images that are unlike the training images, one for each kind of difference."""

from collections.abc import Iterator, Sequence

from src.data.appearance import MEASURES, Appearance, Difference, differences, shown, usual


class Outlook:
    """Collect how the images of one command differ from the training images.

    Args:
        training: appearance of the training images; without any, nothing is compared.
    """

    def __init__(self, training: Sequence[Appearance] = ()) -> None:
        self.usual = usual(training)
        self.found: dict[str, list[Difference]] = {}

    def look(self, image: str, seen: Appearance) -> None:
        """Compare an image with the training images, and keep the differences under its name."""
        self.found[image] = differences(seen, self.usual)

    def sentences(self) -> dict[str, list[str]]:
        """Describe the differences of each image that has any."""
        return {image: [str(each) for each in found] for image, found in self.found.items() if found}

    def lines(self) -> Iterator[str]:
        """Yield a line for each kind of difference, with the number of images; for a single image, its name."""
        kinds: dict[tuple[str, str], dict[str, Difference]] = {}
        for image, found in self.found.items():
            for each in found:
                kinds.setdefault((each.name, each.cause), {})[image] = each
        for name, cause in sorted(kinds, key=lambda kind: list(MEASURES).index(kind[0])):
            alike = kinds[name, cause]
            first, values = next(iter(alike)), [each.value for each in alike.values()]
            if len(alike) == 1:
                yield f"{first}: {alike[first]}"
                continue
            count = f"{len(alike)} of {len(self.found)} images" if len(alike) < len(self.found) else "all images"
            yield f"{count}, such as {first}: {alike[first].said(shown(min(values), max(values)))}"
