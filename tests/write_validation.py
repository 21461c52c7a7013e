"""Writes docs/VALIDATION.md: every row of tests/validation in float32 and in float64."""

from pathlib import Path

import jax
import validation

PATH = Path(__file__).parents[1] / "docs" / "VALIDATION.md"


def main() -> None:
    """Runs all rows and writes the file."""
    lines = []
    for r in validation.rows():
        single = r.error()
        with jax.enable_x64(True):
            double = r.error()
        lines.append(validation.line(r, f"{single:.0e}", f"{double:.0e}"))
        print(lines[-1])
    PATH.write_text(validation.HEAD + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
