"""Incremental occlusion maps: recompute only what a window changes, exactly and much faster than whole images.

A window changes a rectangle of each feature map; the rest is equal to the map of the clean image. The clean image is
propagated through the network once. Then only the rectangles are computed for each window: a step reads values inside
its rectangle from the previous step, and values around it from the clean map. This is the incremental inference of
Nakandala, Kumar & Papakonstantinou, *Incremental and approximate inference for faster occlusion-based deep CNN
explanations*, SIGMOD 2019 (Krypton), without approximation.

``reading`` converts a graph to ``steps`` (``folding`` merges affine operations, ``building`` rebuilds the others).
``intervals`` and ``plan`` determine in NumPy which windows and rectangles are computed together. ``execution`` computes
them in TensorFlow (``winograd`` with fewer multiplications). ``occlusion`` is the entry point.
"""

__all__ = ["checked", "folding", "inlining", "occlusion", "steps"]
