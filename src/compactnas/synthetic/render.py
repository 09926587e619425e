"""Render painted ground as Sentinel-2 measures it: shadows, averaging to 10 m, atmosphere, sensor."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from compactnas.synthetic.canvas import FINE_M, Mask, smooth_noise
from compactnas.synthetic.climate import Climate
from compactnas.synthetic.materials import WAVELENGTHS_UM, Floats
from compactnas.synthetic.plan import SCALE

LOWEST, HIGHEST = 0.0001, 2.8
"""Range of reflectance in So2Sat."""
_SPREAD = 0.09  # share of a pixel that the optics move to each neighbour
_COARSE_BANDS = (3, 4, 5, 7, 8, 9)  # B05 B06 B07 B8A B11 B12 are measured at 20 m


def cast_shadows(height_m: Floats, azimuth_deg: float, elevation_deg: float) -> Mask:
    """Mark shaded pixels, those with a taller object between them and the sun.

    The horizon S(p) = max over t of h(p + t d) - t tan(e) is computed by doubling: the horizon over 2n steps is the
    maximum of the horizon over n steps here and the horizon over n steps from the pixel n steps away.

    Args:
        height_m: Height above ground, (row, column) of fine pixels.
        azimuth_deg: Azimuth of the sun, clockwise from north.
        elevation_deg: Elevation of the sun above the horizon.
    """
    drop = FINE_M * math.tan(math.radians(elevation_deg))
    east, south = math.sin(math.radians(azimuth_deg)), -math.cos(math.radians(azimuth_deg))
    reach = max(1, math.ceil(float(height_m.max()) / drop))
    horizon = height_m.copy()
    steps = 1
    while steps <= reach:
        rows, cols = round(steps * south), round(steps * east)
        here, there = _overlap(horizon.shape, rows, cols)
        further = horizon[there] - np.float32(steps * drop)
        grown = horizon.copy()
        np.maximum(grown[here], further, out=grown[here])
        horizon, steps = grown, 2 * steps
    return horizon > height_m + np.float32(0.5)


def _overlap(shape: tuple[int, ...], rows: int, cols: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return slices `here` and `there`, where `there` is `here` moved by (rows, cols)."""
    here, there = [], []
    for side, move in zip(shape, (rows, cols), strict=True):
        here.append(slice(max(0, -move), side - max(0, move)))
        there.append(slice(max(0, move), side + min(0, move)))
    return (here[0], here[1]), (there[0], there[1])


def to_surface(lookup: NDArray[np.int32], table: Floats, tone: Floats, sunlight: Floats, climate: Climate) -> Floats:
    """Compute the mean surface reflectance of each 10 m pixel, (band, row, column).

    Args:
        lookup: Row of `table` for each fine pixel.
        table: Reflectance, (kind, band).
        tone: Brightness of each fine pixel relative to its kind.
        sunlight: Direct light on each fine pixel; 0 in shadow.
        climate: Climate of the city, whose haze sets the share of diffuse light; shadows get only diffuse light.
    """
    rows, cols = (side // SCALE for side in lookup.shape)
    diffuse = _diffuse_share(climate)
    lit = tone * sunlight
    surface = np.empty((table.shape[1], rows, cols), np.float32)
    for band in range(table.shape[1]):
        light = lit * np.float32(1 - diffuse[band]) + tone * np.float32(diffuse[band])
        light *= table[:, band][lookup]
        surface[band] = _block_mean(light)
    return surface


def _block_mean(fine: Floats) -> Floats:
    down = fine[0::SCALE].copy()
    for offset in range(1, SCALE):
        down += fine[offset::SCALE]
    total = down[:, 0::SCALE].copy()
    for offset in range(1, SCALE):
        total += down[:, offset::SCALE]
    return total * np.float32(1 / SCALE**2)


def _rayleigh(wavelengths_um: Floats) -> Floats:
    """Compute the optical depth of clear air (Hansen and Travis 1974)."""
    inverse = wavelengths_um**-2.0
    return np.asarray(0.008569 * inverse**2 * (1 + 0.0113 * inverse + 0.00013 * inverse**2), np.float32)


def _aerosol(wavelengths_um: Floats, haze: float) -> Floats:
    """Compute the optical depth of haze by Angstrom's law with exponent 1.3."""
    return np.asarray(haze * (wavelengths_um / 0.55) ** -1.3, np.float32)


def _diffuse_share(climate: Climate) -> Floats:
    """Compute the share of the light on the ground that comes from the sky, for each band."""
    slant = 1 / math.sin(math.radians(climate.sun_elevation_deg))
    depth = 0.5 * _rayleigh(WAVELENGTHS_UM) + 0.35 * _aerosol(WAVELENGTHS_UM, climate.haze)
    return np.asarray(np.clip(0.04 + 1 - np.exp(-depth * slant), 0.05, 0.6), np.float32)


def to_sensor(surface: Floats, climate: Climate, rng: np.random.Generator) -> Floats:
    """Compute top-of-atmosphere reflectance as So2Sat stores it, (band, row, column), in steps of 0.0001.

    The atmosphere has single scattering: path reflectance of air and haze, two-way transmission, and light of the
    neighbourhood that is scattered into the view. The sensor adds blur, 20 m bands, gain and noise.
    """
    sun = math.sin(math.radians(climate.sun_elevation_deg))
    air, patchy = _rayleigh(WAVELENGTHS_UM), 1 + 0.15 * smooth_noise(rng, surface.shape[1:], 150.0)
    measured = np.empty_like(surface)
    for band in range(len(surface)):
        haze = _aerosol(WAVELENGTHS_UM, climate.haze)[band] * np.clip(patchy, 0.4, 1.8)
        path = (air[band] * 0.75 * (1 + sun * sun) + haze * 0.3) / (4 * sun)
        passed = np.exp(-(0.5 * air[band] + 0.2 * haze) * (1 + 1 / sun)) * 0.97
        around = np.float32(min(0.06 + 0.35 * climate.haze, 0.35) * (0.55 / WAVELENGTHS_UM[band]) ** 0.7)
        ground = (1 - around) * surface[band] + around * _blur_wide(surface[band])
        seen = _blur(path + passed * ground)
        noise = climate.noise * rng.standard_normal(seen.shape).astype(np.float32)
        seen = _at_20_m(seen, climate.noise, rng) if band in _COARSE_BANDS else seen + noise
        measured[band] = seen * climate.gain[band]
    digital = np.rint(np.clip(measured, LOWEST, HIGHEST) * np.float32(10000))
    return np.asarray(digital / np.float32(10000), np.float32)


def _blur(image: Floats) -> Floats:
    """Blur as the optics do: mix in a little of each neighbour, along rows and columns."""
    for axis in (0, 1):
        pad = [(1, 1) if axis == which else (0, 0) for which in (0, 1)]
        wide = np.pad(image, pad, mode="edge")
        low, high = (wide[:-2], wide[2:]) if axis == 0 else (wide[:, :-2], wide[:, 2:])
        image = (1 - 2 * _SPREAD) * image + _SPREAD * (low + high)
    return np.asarray(image, np.float32)


def _blur_wide(image: Floats) -> Floats:
    """Average over a neighbourhood of about half a kilometre."""
    picture = Image.fromarray(image)
    small = picture.resize((max(1, image.shape[1] // 24), max(1, image.shape[0] // 24)), Image.Resampling.BOX)
    return np.asarray(small.resize(picture.size, Image.Resampling.BICUBIC), np.float32)


def _at_20_m(image: Floats, noise: float, rng: np.random.Generator) -> Floats:
    """Measure on 20 m pixels, then resample to 10 m."""
    picture = Image.fromarray(image)
    half = ((image.shape[1] + 1) // 2, (image.shape[0] + 1) // 2)
    coarse = np.asarray(picture.resize(half, Image.Resampling.BOX), np.float32)
    coarse = coarse + np.float32(noise) * rng.standard_normal(coarse.shape).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize(picture.size, Image.Resampling.BILINEAR), np.float32)
