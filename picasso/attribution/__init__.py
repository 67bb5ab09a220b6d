"""The mathematics that attribution methods share, in NumPy: averages over samples, paths, masks, regions."""
