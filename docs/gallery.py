"""Collects the pictures of the examples for the site, from a run of their tests or of themselves.

    pytest tests/test_examples.py tests/test_readme.py -k "example_runs or main_job" --basetemp=TMP
    python examples/33_flat_start.py --quick -o TMP/33_flat_start
    python docs/gallery.py TMP

writes `docs/gallery/NN_name.png`, small. CI runs the examples, and only looks that each has one.
What learns (10, 11, 23, 30 to 33) is shown as it ends, from a run of its own: tests take few steps.
"""

import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
WIDE = 800  # pixels


def main(words: list[str]) -> None:
    """Takes the first picture of every example."""
    (folder,) = words
    place = ROOT / "docs" / "gallery"
    place.mkdir(exist_ok=True)
    for script in sorted((ROOT / "examples").glob("[0-9]*.py")):
        number = script.stem.partition("_")[0]
        test = "test_main_job" if number == "01" else f"test_example_runs_{number}_"
        found = sorted(Path(folder).glob(f"{script.stem}/**/*.png"))
        found = found or sorted(Path(folder).rglob(f"{test}*/results/**/*.png"))
        if not found:
            print(f"{script.name}: no picture below {folder}; the old one stays")
            continue
        with Image.open(found[0]) as picture:
            small = picture.convert("RGB")
        small.thumbnail((WIDE, 2 * WIDE))
        small.quantize(128).save(place / f"{script.stem}.png", optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:])
