"""The mathematics that attribution methods share, in NumPy: samples, paths, masks, regions, images with high scores."""

__all__ = [
    "ascent",
    "attention",
    "covering",
    "directions",
    "diversity",
    "dropping",
    "masks",
    "objectives",
    "occlusion_scores",
    "paths",
    "pixel_inputs",
    "placement",
    "rank_agreement",
    "regions",
    "samples",
    "spectra",
    "stopping",
    "surrogates",
]
