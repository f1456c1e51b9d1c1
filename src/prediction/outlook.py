"""Images that are unlike the training images of the network that predicts them, told once for each way to differ."""

from collections.abc import Iterator, Sequence

from src.data.appearance import MEASURES, Appearance, Difference, differences, shown, usual


class Outlook:
    """Collects how the images of one command differ from the training images.

    Args:
        training: what the training images look like; of none nobody can tell.
    """

    def __init__(self, training: Sequence[Appearance] = ()) -> None:
        self.usual = usual(training)
        self.found: dict[str, list[Difference]] = {}

    def look(self, image: str, seen: Appearance) -> None:
        """Compare an image, by its name, with the training images."""
        self.found[image] = differences(seen, self.usual)

    def sentences(self) -> dict[str, list[str]]:
        """Of each image that differs, how it does."""
        return {image: [str(each) for each in found] for image, found in self.found.items() if found}

    def lines(self) -> Iterator[str]:
        """A line for each way to differ, and how many images do; of a single one its name."""
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
