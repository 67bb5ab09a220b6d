"""The worlds of the benchmark: synthetic images with known content, and the real images of innocent folders."""

from benchmarks.audit.worlds.base import SIDE, Companion, Drawing, Generator, Pixels, Split, World
from benchmarks.audit.worlds.digits import DIGITS_WORLD
from benchmarks.audit.worlds.emoji import EMOJI_WORLD
from benchmarks.audit.worlds.textures import TEXTURE_WORLD

__all__ = ["SIDE", "WORLDS", "Companion", "Drawing", "Generator", "Pixels", "Split", "World"]

WORLDS = {world.name: world for world in (DIGITS_WORLD, EMOJI_WORLD, TEXTURE_WORLD)}
