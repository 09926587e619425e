"""Painters of land cover: LCZ A to G (11 to 17)."""

from __future__ import annotations

import math

import numpy as np

from compactnas.synthetic.canvas import Canvas, Metres
from compactnas.synthetic.materials import Material, Number


def _everywhere(canvas: Canvas, material: Material, tone: Metres = 1.0) -> None:
    canvas.paint(np.ones_like(canvas.x, np.bool_), material, tone)


def dense_trees(canvas: Canvas) -> None:
    """LCZ A: a closed canopy of stands that differ in age and kind, with a few rides and clearings."""
    _everywhere(canvas, Material.SHRUB, np.float32(0.7) + np.float32(0.05) * canvas.noise(20))
    stand = canvas.noise(canvas.uniform(120, 260), 2)
    old = stand > canvas.uniform(-0.8, 0.8)
    large, small = canvas.uniform(4.5, 7), canvas.uniform(2.5, 4)
    clearing = canvas.noise(90) > canvas.uniform(1.7, 2.4)
    cover = canvas.uniform(0.84, 0.97)
    canvas.trees(cover, (0.6 * large, large), (17, 22), where=old & ~clearing)
    canvas.trees(cover, (0.6 * small, small), (8, 11), where=~old & ~clearing)
    canvas.tone *= np.float32(1) + np.float32(0.05) * stand
    if canvas.chance(0.5):
        u, v = canvas.frame(canvas.turn(), warp_m=30)
        ride = ~canvas.grid(u, v, canvas.uniform(250, 420), canvas.uniform(250, 420)).interior(canvas.uniform(6, 12))
        canvas.paint(ride, Material.DIRT if canvas.chance(0.5) else Material.GRASS, 0.9)


def scattered_trees(canvas: Canvas) -> None:
    """LCZ B: single trees on grass: a park, a savanna or an orchard in rows."""
    meadow(canvas)
    if canvas.chance(0.3):
        u, v = canvas.frame(canvas.turn(), warp_m=10)
        pitch = canvas.uniform(9, 14)
        rows = canvas.grid(u, v, pitch, pitch)
        radius = rows.between(1, 0.26 * pitch, 0.36 * pitch)
        inside = np.float32(1) - (rows.du**2 + rows.dv**2) / radius**2
        plots = canvas.grid(u, v, canvas.uniform(110, 190), canvas.uniform(110, 190))
        crown = (inside > 0) & plots.interior(12) & (plots.value(1) < 0.8) & (rows.value(2) < 0.93)
        canvas.paint(
            crown, Material.BROADLEAF, np.float32(0.9) + np.float32(0.2) * rows.value(3), rows.between(4, 3.5, 6)
        )
        return
    grove = canvas.noise(canvas.uniform(60, 120))
    canvas.trees(canvas.uniform(0.1, 0.36), (2.5, 6), (5, 14))
    canvas.trees(0.5, (3, 6), (6, 14), where=grove > 1.0)


def bush(canvas: Canvas) -> None:
    """LCZ C: bushes of a metre or two in clumps on poor soil."""
    ground = Material.SOIL if canvas.chance(0.4) else Material.DIRT if canvas.chance(0.5) else Material.GRASS
    _everywhere(canvas, ground, np.float32(1) + np.float32(0.08) * canvas.noise(60, 3))
    clump = canvas.noise(canvas.uniform(16, 34), 2) + np.float32(0.6) * canvas.noise(150)
    cover = canvas.uniform(-0.45, 0.25)
    canvas.paint(clump > cover, Material.SHRUB, np.float32(0.9) + np.float32(0.1) * canvas.noise(12), 1.2)
    canvas.trees(canvas.uniform(0.2, 0.4), (1.2, 2.5), (1, 2), kind=Material.SHRUB)
    if canvas.climate.rock > 0.6:
        canvas.paint(canvas.noise(35, 2) > 1.7, Material.ROCK, np.float32(1) + np.float32(0.1) * canvas.noise(12))


def meadow(canvas: Canvas) -> None:
    """Grass with soft variation and dry patches."""
    tone = np.float32(1) + np.float32(0.07) * canvas.noise(canvas.uniform(80, 200), 3)
    _everywhere(canvas, Material.GRASS, tone)
    canvas.paint(canvas.noise(140, 2) > canvas.uniform(1.2, 2.0), Material.STUBBLE, tone)


def crop_field(canvas: Canvas, size_m: Number) -> None:
    """Parcels of crops in different states, each with its own direction of furrows, and tracks between them."""
    u, v = canvas.frame(warp_m=canvas.uniform(0, 12))
    parcels = canvas.grid(u, v, size_m * canvas.uniform(1.0, 2.4), size_m, stagger=canvas.uniform(0, 0.6))
    strips = parcels.split(2, 1)
    parts = strips if canvas.chance(0.5) else parcels
    state = parts.value(1)
    grass, crop = canvas.uniform(0.1, 0.4), canvas.uniform(0.35, 0.6)
    kind = np.full(state.shape, Material.STUBBLE, np.uint8)
    kind[state < grass + crop] = Material.CROP
    kind[state < grass] = Material.GRASS
    kind[state > 1 - canvas.uniform(0.05, 0.15)] = Material.SOIL
    along = np.where(parts.value(2) < 0.5, u, v)
    period = canvas.uniform(11, 26)
    furrow = np.sin(along * np.float32(2 * math.pi / period)) * np.float32(canvas.uniform(0.03, 0.12))
    tone = (np.float32(0.75) + np.float32(0.5) * parts.value(3)) * (1 + furrow) + np.float32(0.03) * canvas.noise(60, 2)
    canvas.paint(np.ones_like(u, np.bool_), kind, tone)
    canvas.paint(~parcels.interior(canvas.uniform(3, 6)), Material.DIRT if canvas.chance(0.5) else Material.GRASS, 0.9)


def low_plants(canvas: Canvas) -> None:
    """LCZ D: fields in parcels, or meadows."""
    if canvas.chance(0.7):
        crop_field(canvas, canvas.uniform(70, 190))
        if canvas.chance(0.4):
            canvas.trees(0.02, (2, 4), (3, 8))
    else:
        meadow(canvas)
        canvas.trees(canvas.uniform(0.0, 0.05), (2, 4), (3, 8))


def bare_rock_or_paved(canvas: Canvas) -> None:
    """LCZ E: rock in beds and blocks, an airfield's runways and aprons, or a huge car park."""
    if canvas.chance(canvas.climate.rock):
        _rock(canvas)
    elif canvas.chance(0.5):
        _airfield(canvas)
    else:
        _car_park(canvas)


def _rock(canvas: Canvas) -> None:
    u, v = canvas.frame(canvas.turn(), warp_m=45, warp_scale_m=160)
    beds = np.sin(v * np.float32(2 * math.pi / canvas.uniform(35, 80))) * np.float32(canvas.uniform(0.04, 0.14))
    rough = np.float32(0.09) * canvas.noise(45, 4)
    _everywhere(canvas, Material.ROCK, np.float32(1) + beds + rough)
    blocks = canvas.grid(u, v, canvas.uniform(28, 50), canvas.uniform(14, 30), stagger=0.4)
    crack = ~blocks.interior(3.5) & (blocks.value(1) < 0.6)
    canvas.paint(crack, Material.ROCK, 0.55)
    ledge = blocks.value(2) < 0.25
    canvas.height_m[ledge] = (blocks.value(3) * 5)[ledge]
    canvas.paint(canvas.noise(60, 2) > 1.9, Material.SHRUB, 0.9)


def _airfield(canvas: Canvas) -> None:
    u, v = canvas.frame()
    slabs = canvas.grid(u, v, canvas.uniform(40, 90), canvas.uniform(30, 60))
    _everywhere(
        canvas,
        Material.CONCRETE,
        np.float32(0.72) + np.float32(0.12) * slabs.value(1) + np.float32(0.03) * canvas.noise(30),
    )
    lanes = canvas.grid(u, v, canvas.uniform(260, 420), canvas.uniform(150, 230))
    runway = np.abs(lanes.dv) < canvas.uniform(22, 32)
    canvas.paint(runway, Material.ASPHALT, np.float32(1) + np.float32(0.05) * canvas.noise(50))
    canvas.paint(np.abs(lanes.dv) < 2.0, Material.WHITE, 0.8)
    canvas.paint(np.abs(lanes.du) < 11, Material.ASPHALT, 1.0)
    edge = np.abs(np.abs(lanes.dv) - np.float32(lanes.pitch_v / 2))
    canvas.paint((edge < 6) & ~runway, Material.GRASS, 1.0)
    stand = canvas.grid(u, v, 62, 58)
    plane = (stand.value(1) < 0.16) & ((stand.box(17, 2.6)) | (stand.box(3.0, 16, 1.5))) & ~runway
    canvas.paint(plane, Material.WHITE, 1.4, 4.0)


def _car_park(canvas: Canvas) -> None:
    u, v = canvas.frame()
    fields = canvas.grid(u, v, canvas.uniform(110, 220), canvas.uniform(80, 160))
    _everywhere(
        canvas,
        Material.ASPHALT,
        np.float32(0.8) + np.float32(0.5) * fields.value(1) + np.float32(0.04) * canvas.noise(40),
    )
    rows = canvas.grid(u, v, 2.6, canvas.uniform(16, 19))
    car = (np.abs(np.abs(rows.dv) - 5) < 2.6) & (rows.value(1) < fields.between(2, 0.1, 0.9)) & fields.interior(14)
    paint = rows.value(2)
    canvas.paint(car, Material.METAL, np.float32(0.3) + np.float32(1.8) * paint * paint)
    canvas.paint(~fields.interior(7), Material.ROAD, 1.0)
    canvas.trees(0.02 * canvas.climate.greenery, (1.5, 3), (3, 6))


def bare_soil_or_sand(canvas: Canvas) -> None:
    """LCZ F: dunes, ploughed fields, or earthworks."""
    draw = canvas.rng.random()
    arid = canvas.climate.biome == "arid"
    if draw < (0.6 if arid else 0.35):
        _dunes(canvas)
    elif draw < 0.75:
        _ploughed(canvas)
    else:
        _earthworks(canvas)


def _dunes(canvas: Canvas) -> None:
    _, v = canvas.frame(canvas.turn(), warp_m=canvas.uniform(30, 60), warp_scale_m=180)
    phase = v / np.float32(canvas.uniform(45, 110))
    crest = phase - np.floor(phase)
    slope = np.where(crest < 0.7, crest / np.float32(0.7), (1 - crest) / np.float32(0.3))
    tone = (
        np.float32(0.9)
        + np.float32(canvas.uniform(0.1, 0.28)) * (slope - np.float32(0.5))
        + np.float32(0.05) * canvas.noise(120, 2)
    )
    _everywhere(canvas, Material.SAND if canvas.chance(0.7) else Material.SOIL, tone)
    canvas.paint(canvas.noise(40, 2) > 2.2, Material.SHRUB, 0.9, 0.8)


def _ploughed(canvas: Canvas) -> None:
    u, v = canvas.frame(warp_m=canvas.uniform(0, 10))
    parcels = canvas.grid(u, v, canvas.uniform(140, 330), canvas.uniform(90, 200), stagger=canvas.uniform(0, 0.5))
    along = np.where(parcels.value(1) < 0.5, u, v)
    furrow = np.sin(along * np.float32(2 * math.pi / canvas.uniform(11, 24))) * np.float32(canvas.uniform(0.04, 0.12))
    wet = np.float32(0.07) * canvas.noise(90, 3)
    _everywhere(canvas, Material.SOIL, np.float32(0.8) + np.float32(0.4) * parcels.value(2) + furrow + wet)
    canvas.paint(~parcels.interior(4), Material.GRASS, 0.9)


def _earthworks(canvas: Canvas) -> None:
    heap = canvas.noise(canvas.uniform(50, 90), 3)
    _everywhere(canvas, Material.SOIL, np.float32(1) + np.float32(0.14) * heap)
    canvas.height_m[:] = np.maximum(heap, 0) * np.float32(2.5)
    canvas.paint(canvas.noise(150) > 0.8, Material.DIRT, np.float32(1) + np.float32(0.1) * canvas.noise(20))
    u, v = canvas.frame(canvas.turn(), warp_m=40)
    canvas.paint(~canvas.grid(u, v, 170, 240).interior(9), Material.SAND, 1.0)
    canvas.paint(canvas.noise(50, 2) > 2.2, Material.WATER, 1.3)


def water(canvas: Canvas) -> None:
    """LCZ G: open water with swell, slicks and silt, and now and then a ship with its wake."""
    u, v = canvas.frame(canvas.turn(), warp_m=25, warp_scale_m=200)
    swell = np.sin(v * np.float32(2 * math.pi / canvas.uniform(24, 70))) * np.float32(canvas.uniform(0, 0.05))
    silt = np.float32(canvas.uniform(0.02, 0.12)) * canvas.noise(canvas.uniform(120, 320), 3)
    _everywhere(canvas, Material.WATER, np.float32(1) + swell + silt)
    lanes = canvas.grid(u, v, canvas.uniform(260, 420), canvas.uniform(240, 400))
    sailing = lanes.value(1) < canvas.uniform(0, 0.35)
    at_u, at_v = lanes.between(2, -60, 60), lanes.between(3, -90, 90)
    behind = lanes.du - at_u
    wake = (
        sailing
        & (behind > 0)
        & (behind < 110)
        & (np.abs(lanes.dv - at_v) < np.float32(2.5) + behind * np.float32(0.06))
    )
    canvas.paint(wake, Material.WATER, 1.5)
    canvas.paint(
        sailing & lanes.box(lanes.between(4, 12, 40), lanes.between(5, 3.5, 8), at_u - 20, at_v),
        Material.METAL,
        1.0,
        6.0,
    )
