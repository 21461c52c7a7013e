"""The command ``jaxwave``: looks at the arguments first and loads JAX when they are right.

Importing any part of a package runs the whole of its ``__init__``, which takes JAX and a second. So
the package is put into ``sys.modules`` without running it, the parts that read arguments are
imported (they need the standard library only), and ``__init__`` runs before everything else does.
"""

import importlib.util
import sys


def main() -> int:
    """Runs the command line and returns its exit code."""
    if "jaxwave" in sys.modules:
        from jaxwave.cli.main import main

        return main()
    spec = importlib.util.find_spec("jaxwave")
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError("jaxwave is not installed")
    package = importlib.util.module_from_spec(spec)
    sys.modules["jaxwave"] = package
    loader = spec.loader
    from jaxwave.cli.main import main

    return main(load=lambda: loader.exec_module(package))


if __name__ == "__main__":
    raise SystemExit(main())
