"""Warnings about images that are unlike the training images, one for each kind of difference."""

from collections.abc import Iterator, Sequence

from src.data.appearance import MEASURES, Appearance, Difference, differences, shown, usual


class Outlook:
    """The differences between the images that one command predicts and the training images.

    Args:
        training: appearance of each training image; if empty, nothing is compared.
    """

    def __init__(self, training: Sequence[Appearance] = ()) -> None:
        self.usual = usual(training)
        self.found: dict[str, list[Difference]] = {}

    def look(self, image: str, seen: Appearance) -> None:
        """Compare an image, given its name and appearance, with the training images, and store the differences."""
        self.found[image] = differences(seen, self.usual)

    def sentences(self) -> dict[str, list[str]]:
        """Return sentences on the differences, by name of the image; images without differences are left out."""
        return {image: [str(each) for each in found] for image, found in self.found.items() if found}

    def lines(self) -> Iterator[str]:
        """Yield a line per kind of difference, with the number of images that show it, or the name of the only one."""
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
