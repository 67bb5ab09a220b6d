"""Images for the tank detector example: landscapes with a tank, a bush or a hut, on sunny or cloudy days."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

HEIGHT, WIDTH = 48, 64
CLASSES = ("no tank", "tank")
# They are drawn larger, so that shrinking makes their edges soft as those of photographs.
LARGER = 4

Generator = np.random.Generator
Colour = tuple[int, int, int]


def scene(generator: Generator, tank: bool, cloudy: bool) -> Image.Image:
    """Return one landscape of 64 x 48 pixels."""
    size = (WIDTH * LARGER, HEIGHT * LARGER)
    image = Image.new("RGB", size)
    painter = ImageDraw.Draw(image)
    horizon = int(generator.uniform(0.3, 0.45) * size[1])
    sky, land = near((150, 185, 225), generator), near((120, 130, 80), generator)
    for row in range(horizon):
        share = row / horizon
        painter.line((0, row, size[0], row), fill=tuple(int(one + (235 - one) * share * 0.6) for one in sky))
    painter.rectangle((0, horizon, *size), fill=land)
    hills(painter, generator, horizon, size[0])
    for _ in range(int(generator.integers(2, 5))):
        bush(painter, generator, horizon, size, small=True)
    if tank:
        draw_tank(painter, generator, horizon, size)
    elif generator.random() < 0.5:
        hut(painter, generator, horizon, size)
    else:
        bush(painter, generator, horizon, size, small=False)
    image = image.filter(ImageFilter.GaussianBlur(1.5)).resize((WIDTH, HEIGHT), Image.Resampling.BOX)
    return weather(np.asarray(image, np.float64), generator, cloudy)


def weather(pixels: NDArray[np.float64], generator: Generator, cloudy: bool) -> Image.Image:
    """Return a scene in the light of its day: clouds take light, and the sun adds some."""
    light = generator.uniform(0.5, 0.72) if cloudy else generator.uniform(0.88, 1.1)
    noisy = pixels * light + generator.normal(0, 5, pixels.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def near(colour: Colour, generator: Generator, by: int = 18) -> Colour:
    """Return a colour like another one."""
    red, green, blue = (int(np.clip(one + generator.integers(-by, by + 1), 0, 255)) for one in colour)
    return red, green, blue


def hills(painter: ImageDraw.ImageDraw, generator: Generator, horizon: int, width: int) -> None:
    """Draw hills along the horizon."""
    for _ in range(3):
        middle, half = generator.uniform(0, width), generator.uniform(0.15, 0.4) * width
        height = generator.uniform(4, 22)
        box = (middle - half, horizon - height, middle + half, horizon + height)
        painter.ellipse(box, fill=near((105, 125, 90), generator))


def place(generator: Generator, horizon: int, size: tuple[int, int], width: float) -> tuple[float, float]:
    """Return where something of a width stands: left, and the height of its foot."""
    return float(generator.uniform(0.02, 0.98) * (size[0] - width)), float(
        generator.uniform(horizon + 45, size[1] - 10)
    )


def bush(painter: ImageDraw.ImageDraw, generator: Generator, horizon: int, size: tuple[int, int], small: bool) -> None:
    """Draw a bush."""
    width = generator.uniform(10, 25) if small else generator.uniform(60, 100)
    left, foot = place(generator, horizon, size, width)
    for _ in range(7):
        x, y = left + generator.uniform(0, width), foot - generator.uniform(0, width * 0.35)
        radius = width * generator.uniform(0.15, 0.3)
        painter.ellipse((x - radius, y - radius, x + radius, y + radius), fill=near((70, 95, 55), generator))


def hut(painter: ImageDraw.ImageDraw, generator: Generator, horizon: int, size: tuple[int, int]) -> None:
    """Draw a hut with a roof."""
    width = generator.uniform(60, 95)
    left, foot = place(generator, horizon, size, width)
    wall, top = near((125, 105, 85), generator), foot - width * 0.4
    painter.rectangle((left, top, left + width, foot), fill=wall)
    painter.polygon(
        [(left - 6, top), (left + width / 2, top - width * 0.3), (left + width + 6, top)],
        fill=near((95, 60, 50), generator),
    )
    painter.rectangle((left + width * 0.4, foot - width * 0.25, left + width * 0.55, foot), fill=(50, 40, 35))


def draw_tank(painter: ImageDraw.ImageDraw, generator: Generator, horizon: int, size: tuple[int, int]) -> None:
    """Draw a tank from the side: tracks, hull, turret and gun, pointing either way."""
    width = generator.uniform(65, 100)
    left, foot = place(generator, horizon, size, width)
    paint, dark = near((85, 90, 60), generator), near((45, 45, 40), generator, 8)
    height = width * 0.22
    painter.rounded_rectangle((left, foot - height, left + width, foot), radius=height / 2, fill=dark)
    for wheel in range(5):
        x = left + width * (0.1 + 0.2 * wheel)
        painter.ellipse(
            (x - height * 0.3, foot - height * 0.8, x + height * 0.3, foot - height * 0.2),
            fill=near((75, 75, 65), generator, 5),
        )
    top = foot - height
    painter.polygon(
        [
            (left, top),
            (left + width * 0.12, top - height * 0.7),
            (left + width * 0.9, top - height * 0.7),
            (left + width, top),
        ],
        fill=paint,
    )
    turret = (left + width * 0.32, top - height * 1.5, left + width * 0.68, top - height * 0.65)
    painter.rounded_rectangle(turret, radius=4, fill=near(paint, generator, 6))
    direction = 1 if generator.random() < 0.5 else -1
    x, y = left + width * (0.5 + 0.18 * direction), top - height * 1.15
    painter.line((x, y, x + direction * width * 0.5, y - generator.uniform(0, 6)), fill=dark, width=6)


def scenes(count: int, confounded: float, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return ``count`` images of each class, ``(2 * count, 48, 64, 3)``, and their classes.

    Args:
        count: of each class.
        confounded: the share of the tanks that stand under clouds, and of the others that stand in the sun.
        seed: of whatever is drawn at random.

    Examples:
        >>> from picasso.examples.tanks.scenes import scenes
        >>> images, targets = scenes(2, confounded=1.0, seed=0)
        >>> images.shape, targets.tolist()
        ((4, 48, 64, 3), [0, 0, 1, 1])
        >>> bool(images[2:].mean() < images[:2].mean())
        True
    """
    generator = np.random.default_rng(seed)
    images, targets = [], []
    for target in (0, 1):
        for _ in range(count):
            typical = generator.random() < confounded
            cloudy = typical if target else not typical
            images.append(np.asarray(scene(generator, bool(target), cloudy)))
            targets.append(target)
    return np.stack(images), np.array(targets, np.int64)


def save(folder: Path, images: NDArray[np.uint8], targets: NDArray[np.int64]) -> None:
    """Write images into folders named after their classes."""
    for index, (pixels, target) in enumerate(zip(images, targets, strict=True)):
        place = folder / CLASSES[target]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{index:04d}.png")
