"""One table of what the benchmarks left in ``runs/bench``: ours, what it is compared with, by how much it is faster."""

import json

from rich.console import Console
from rich.table import Table

from tests.benchmarks.timing import RESULTS


def main() -> None:
    table = Table("what", "against", "ours is faster by")
    for file in sorted(RESULTS.glob("*.json")):
        found = json.loads(file.read_text())
        ours, *others = found["rows"]
        for other in others:
            if "ratio" in other:
                table.add_row(f"{found['title']} ({ours['name']})", other["name"], f"{other['ratio']:.2f}×")
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
