"""One object that moves before a still background: what a synthetic video shows, and how it is painted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

Array = np.ndarray
TAU = 2 * np.pi


@dataclass(frozen=True, kw_only=True)
class Scene:
    """All that is drawn at random for a video. Pixels and radians; `speed` scales every motion."""

    motion: str
    appearance: str
    height: int
    width: int
    radius: float
    centre: tuple[float, float]
    phase: float
    direction: int
    speed: float
    tones: tuple[float, float]
    chroma: tuple[float, float]
    background: Float[Array, "planes_height width"]


@dataclass(frozen=True, kw_only=True)
class Path2D:
    """The object's centre, size and orientation in every frame, each of shape [time]."""

    x: Float[Array, "time"]
    y: Float[Array, "time"]
    scale: Float[Array, "time"]
    angle: Float[Array, "time"]


def _bounce(position: Array, low: float, high: float) -> Array:
    """Folds a straight way into [low, high], as a ball between two walls."""
    span = max(high - low, 1.0)
    return low + span - np.abs((position - low) % (2 * span) - span)


def _bouncing(scene: Scene, time: Array) -> Path2D:
    margin, way = scene.radius, 2.6 * scene.speed * time
    heading = scene.phase
    x = _bounce(scene.centre[0] + way * np.cos(heading), margin, scene.width - margin)
    y = _bounce(scene.centre[1] + way * np.sin(heading), margin, scene.height - margin)
    return Path2D(x=x, y=y, scale=np.ones_like(time), angle=np.full_like(time, heading))


def _circling(scene: Scene, time: Array) -> Path2D:
    orbit = 0.14 * scene.height
    turn = scene.phase + scene.direction * TAU / 30 * scene.speed * time
    x = scene.centre[0] + orbit * np.cos(turn)
    y = scene.centre[1] + orbit * np.sin(turn)
    return Path2D(x=x, y=y, scale=np.ones_like(time), angle=np.full_like(time, scene.phase * 3))


def _spinning(scene: Scene, time: Array) -> Path2D:
    still = np.ones_like(time)
    angle = scene.phase + scene.direction * TAU / 28 * scene.speed * time
    return Path2D(x=still * scene.centre[0], y=still * scene.centre[1], scale=still, angle=angle)


def _pulsing(scene: Scene, time: Array) -> Path2D:
    still = np.ones_like(time)
    scale = 1.0 + 0.42 * np.sin(scene.phase + TAU / 22 * scene.speed * time)
    return Path2D(x=still * scene.centre[0], y=still * scene.centre[1], scale=scale, angle=still * scene.phase * 3)


MOTIONS: Mapping[str, Callable[[Scene, Array], Path2D]] = {
    "bouncing": _bouncing,
    "circling": _circling,
    "spinning": _spinning,
    "pulsing": _pulsing,
}


# An appearance maps the object's own coordinates (radius 1) to (signed distance to the outline, texture).
def _striped_disc(u: Array, v: Array) -> tuple[Array, Array]:
    return np.hypot(u, v) - 1.0, np.sin(6.5 * u)


def _checkered_square(u: Array, v: Array) -> tuple[Array, Array]:
    checks = 2 * np.sin(5.54 * u) * np.sin(5.54 * v)  # three a side
    return np.maximum(np.abs(u), np.abs(v)) - 0.85, checks


def _dotted_triangle(u: Array, v: Array) -> tuple[Array, Array]:
    distance = np.maximum(np.abs(u) * 0.866 + v * 0.5, -v) - 0.62
    return distance, np.cos(9.0 * u) + np.cos(9.0 * v) - 0.8


def _ringed_star(u: Array, v: Array) -> tuple[Array, Array]:
    radius = np.hypot(u, v)
    return (radius - 0.78 - 0.32 * np.cos(5 * np.arctan2(v, u))) * 0.6, np.sin(11.0 * radius)


APPEARANCES: Mapping[str, Callable[[Array, Array], tuple[Array, Array]]] = {
    "striped_disc": _striped_disc,
    "checkered_square": _checkered_square,
    "dotted_triangle": _dotted_triangle,
    "ringed_star": _ringed_star,
}


def draw_scene(motion: str, appearance: str, height: int, width: int, generator: np.random.Generator) -> Scene:
    """Draws all nuisances. The object stays inside the picture whatever its motion."""
    radius = generator.uniform(0.28, 0.34) * height
    margin = {"circling": 0.14 * height + radius, "pulsing": 1.42 * radius}.get(motion, radius)
    dark, bright = generator.uniform(25, 60), generator.uniform(195, 230)
    tones = (dark, bright) if generator.random() < 0.5 else (bright, dark)
    return Scene(
        motion=motion,
        appearance=appearance,
        height=height,
        width=width,
        radius=radius,
        centre=(generator.uniform(margin, width - margin), generator.uniform(margin, height - margin)),
        phase=generator.uniform(0, TAU),
        direction=int(generator.choice([-1, 1])),
        speed=generator.uniform(0.75, 1.35),
        tones=tones,
        chroma=(generator.uniform(80, 176), generator.uniform(80, 176)),
        background=_draw_background(height, width, generator),
    )


def _draw_background(height: int, width: int, generator: np.random.Generator) -> Array:
    """A gradient of two random colours under a few random waves: I420 planes as float32."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    heading, low, high = generator.uniform(0, TAU), generator.uniform(75, 115), generator.uniform(125, 165)
    ramp = (x - width / 2) * np.cos(heading) + (y - height / 2) * np.sin(heading)
    ramp = (ramp / np.hypot(height, width) + 0.5).astype(np.float32)
    luma = low + (high - low) * ramp
    for _ in range(4):
        wave_x, wave_y = generator.normal(0, 0.25, 2)
        luma += generator.uniform(2, 8) * np.sin(wave_x * x + wave_y * y + generator.uniform(0, TAU))
    planes = [luma]
    for _ in range(2):
        start, end = generator.uniform(96, 160, 2)
        planes.append((start + (end - start) * ramp[::2, ::2]).reshape(-1, width))
    return np.concatenate(planes).astype(np.float32)


def render_scene(scene: Scene, num_frames: int) -> UInt8[Array, "time planes_height width"]:
    """I420 pictures with anti-aliased edges."""
    path = MOTIONS[scene.motion](scene, np.arange(num_frames, dtype=np.float32))
    pictures = np.repeat(scene.background[None], num_frames, axis=0)
    margin = int(np.ceil(1.25 * scene.radius * path.scale.max())) + 2
    for picture, x, y, scale, angle in zip(pictures, path.x, path.y, path.scale, path.angle, strict=True):
        _paint(picture, scene, margin, (float(x), float(y)), float(scale), float(angle))
    return np.clip(np.rint(pictures), 16, 235).astype(np.uint8)


def _paint(picture: Array, scene: Scene, margin: int, centre: tuple[float, float], scale: float, angle: float) -> None:
    """Paints the object into one float32 picture, only around where it is; chroma needs even bounds."""
    left, top = (max(0, int(side - margin) & ~1) for side in centre)
    right = min(scene.width, (int(centre[0]) + margin + 2) & ~1)
    bottom = min(scene.height, (int(centre[1]) + margin + 2) & ~1)
    y, x = np.ogrid[top:bottom, left:right]
    size = scene.radius * scale
    across, down = (x - centre[0]) / size, (y - centre[1]) / size
    u = across * np.cos(angle) + down * np.sin(angle)
    v = down * np.cos(angle) - across * np.sin(angle)
    distance, wave = APPEARANCES[scene.appearance](u, v)
    opacity = np.clip(0.5 - distance * size, 0, 1)
    mixture = np.clip(0.5 + 1.5 * wave, 0, 1)
    tone = scene.tones[0] + (scene.tones[1] - scene.tones[0]) * mixture
    luma = picture[: scene.height]
    luma[top:bottom, left:right] += opacity * (tone - luma[top:bottom, left:right])
    coarse = (opacity[::2, ::2] + opacity[1::2, 1::2]) / 2
    chroma_planes = picture[scene.height :].reshape(2, scene.height // 2, scene.width // 2)
    for plane, value in zip(chroma_planes, scene.chroma, strict=True):
        target = plane[top // 2 : bottom // 2, left // 2 : right // 2]
        target += coarse * (value - target)
