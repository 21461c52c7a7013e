"""Fixtures of all tests."""

import gc
import resource
from pathlib import Path

import jax
import pytest

MOST_MEMORY = 3e9  # bytes of a test process before it forgets its compiled programs


@pytest.fixture
def x64():
    """Double precision inside one test; restored afterwards."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def _clean_themes():
    """Where napari is installed, its plugin would import it for every test; here it need not."""


@pytest.fixture
def _disable_qt_warnings():
    """The same."""


def pytest_addoption(parser):
    parser.addini("slow_list", "a file that tests/write_slow.py wrote", default="tests/slow.txt")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """What the list of a measured run calls slow; a file without names marks nothing."""
    path = Path(config.rootpath, config.getini("slow_list"))
    slow = set(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else set()
    for item in items:
        if item.nodeid in slow:
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish():
    """What was imported lives to the end; the collector need not search it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@pytest.fixture(scope="module", autouse=True)
def _bounded_memory():
    """Thousands of compiled programs fill gigabytes; the cache on disk brings them back."""
    yield
    try:
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[1]) * resource.getpagesize()
    except FileNotFoundError:  # not Linux
        return
    if used > MOST_MEMORY:
        jax.clear_caches()
        gc.collect()
