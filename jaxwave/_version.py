"""The version of the code that is imported, installed or not."""

__version__ = "0.1.0"
