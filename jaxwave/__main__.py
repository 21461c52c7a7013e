"""Makes ``python -m jaxwave`` the command line."""

from __future__ import annotations

from jaxwave.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
