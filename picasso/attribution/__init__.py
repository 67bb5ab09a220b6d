"""The mathematics that attribution methods share, in NumPy: samples, paths, masks, regions."""
