"""The plugin for the viewer napari: PSFs, calibrations, deconvolutions, readers and writers.

``napari.yaml`` one folder up tells the viewer what there is; it stands there because the name of an
entry point has no slash, and because the viewer does not import jaxwave to find it. Nothing else of
jaxwave imports this package, and only its modules with widgets need napari
(``pip install "jaxwave[napari]"``).
"""
