"""The mathematics that attribution methods share, in NumPy: samples, paths, masks, regions."""

__all__ = [
    "attention",
    "covering",
    "dropping",
    "masks",
    "occlusion_scores",
    "paths",
    "placement",
    "rank_agreement",
    "regions",
    "samples",
    "stopping",
    "surrogates",
]
