"""Occlusion maps by recomputing only what a window changes: exact, and many times faster than whole images.

A window changes a rectangle of each feature map; the rest is as for the clean image. The image goes through the
network once. Then, for each window, the rectangles are computed alone: every step takes what it needs around its
rectangle from the clean map, and what lies in it from the step before. This is the incremental inference of Nakandala,
Kumar & Papakonstantinou, *Incremental and approximate inference for faster occlusion-based deep CNN explanations*,
SIGMOD 2019 (Krypton), here without any approximation.

``reading`` takes a graph apart into ``steps`` (``folding`` joins those that are affine, ``building`` builds the others
again), ``intervals`` and ``plan`` decide in NumPy what is computed together and how, ``execution`` computes it in
TensorFlow (``winograd`` with fewer multiplications), and ``occlusion`` is the door.
"""

__all__ = ["checked", "inlining", "occlusion", "steps"]
