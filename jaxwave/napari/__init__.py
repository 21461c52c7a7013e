"""The plugin for the viewer napari: PSFs, calibrations, deconvolutions, readers and writers.

``napari.yaml`` tells the viewer what there is. Nothing else of jaxwave imports this package, and
only its modules with widgets need napari (``pip install "jaxwave[napari]"``).
"""
