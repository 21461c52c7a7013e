"""The command line: ``calibrate``, ``resume``, ``report``, ``export``, ``psf``, ``lightfield``.

Every setting is a flag, or a line of a TOML file; flags win. The effective settings of a
calibration are written into its folder, so that it can be resumed and repeated.
"""
