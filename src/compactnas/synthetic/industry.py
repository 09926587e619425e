"""Painters of the built zones where people work: LCZ 8 and 10."""

from __future__ import annotations

import math

import numpy as np

from compactnas.synthetic.canvas import Canvas, LotGrid
from compactnas.synthetic.materials import Floats, Material
from compactnas.synthetic.properties import PROPERTIES
from compactnas.synthetic.urban import within


def large_low_rise(canvas: Canvas) -> None:
    """LCZ 8: halls of warehouses and shops, each with its yard and car park, on wide roads."""
    facts = PROPERTIES[7]
    road = canvas.uniform(12, 20)
    u, v = canvas.frame()
    plots = canvas.grid(u, v, canvas.uniform(110, 230), canvas.uniform(85, 150))
    tone = np.float32(0.9) + np.float32(0.3) * plots.value(1) + np.float32(0.04) * canvas.noise(30)
    canvas.paint(np.ones_like(u, np.bool_), Material.ASPHALT, tone)
    canvas.paint(plots.value(2) < 0.35, Material.CONCRETE, np.float32(0.65) + np.float32(0.25) * plots.value(3))
    canvas.paint(~plots.interior(road), Material.ROAD, 1.0)
    verge = plots.interior(road) & ~plots.interior(road + canvas.uniform(8, 18))
    canvas.paint(verge, Material.GRASS, np.float32(0.9) + np.float32(0.2) * plots.value(4))
    _cars(canvas, u, v, plots, road)
    wanted = within(canvas, facts.building)
    # Halls have random proportions, and their mean area covers the wanted share of the plots.
    shape = np.exp(plots.between(5, -0.35, 0.35))
    side = np.sqrt(np.float32(wanted) * plots.between(6, 0.75, 1.3))
    half_u = np.minimum(side * shape, np.float32(0.93 - road / plots.pitch_u)) * np.float32(plots.pitch_u / 2)
    half_v = np.minimum(side / shape, np.float32(0.93 - road / plots.pitch_v)) * np.float32(plots.pitch_v / 2)
    hall = plots.box(half_u, half_v, plots.between(7, -3, 3), plots.between(8, -3, 3))
    small = plots.value(9) < 0.3
    units = plots.split(3, 2, road)
    hall = np.where(small, plots.interior(road) & units.box(units.pitch_u / 2 - 5, units.pitch_v / 2 - 5), hall)
    canvas.build(hall & ~small, plots, plots.between(10, 6, 10), 2)
    canvas.build(hall & small, units, units.between(1, 4, 9), 2)
    _roof_ridges(canvas, u, v, plots)
    canvas.trees(0.03 * canvas.climate.greenery, (2, 3.5), (4, 9))


def _roof_ridges(canvas: Canvas, u: Floats, v: Floats, lots: LotGrid) -> None:
    """Paint rows of skylights and ridges on the roofs."""
    along = np.where(lots.value(931) < 0.5, u, v)
    wave = np.sin(along * (np.float32(2 * math.pi) / lots.between(932, 11, 26)))
    strength = lots.between(933, 0.0, 0.22) * (lots.value(934) < 0.6)
    canvas.tone = np.where(canvas.building, canvas.tone * (1 + strength * wave), canvas.tone).astype(np.float32)


def _cars(canvas: Canvas, u: Floats, v: Floats, plots: LotGrid, road: float) -> None:
    rows = canvas.grid(u, v, 2.6, 17)
    car = (np.abs(np.abs(rows.dv) - 5) < 2.6) & (rows.value(1) < 0.6) & (plots.value(941) < 0.6)
    bright = rows.value(2)
    canvas.paint(car & plots.interior(road + 14), Material.METAL, np.float32(0.3) + np.float32(1.8) * bright * bright)


def heavy_industry(canvas: Canvas) -> None:
    """LCZ 10: a refinery's tanks, a works with long halls and heaps, or a port with quays and containers."""
    draw = float(canvas.rng.random())
    if draw < 0.4:
        _refinery(canvas)
    elif draw < 0.7:
        _works(canvas)
    else:
        _port(canvas)


def _yard(canvas: Canvas) -> None:
    """Paint the ground of an industrial site: dirt and asphalt, with grass off the tracks."""
    patch = canvas.noise(70, 3)
    tone = np.float32(0.9) + np.float32(0.1) * canvas.noise(25, 2)
    canvas.paint(np.ones_like(patch, np.bool_), Material.DIRT, tone)
    canvas.paint(patch > canvas.uniform(0.0, 0.6), Material.GRASS, tone)
    canvas.paint(patch < canvas.uniform(-1.1, -0.6), Material.ASPHALT, tone)


def _refinery(canvas: Canvas) -> None:
    _yard(canvas)
    u, v = canvas.frame()
    plots = canvas.grid(u, v, canvas.uniform(130, 200), canvas.uniform(110, 170))
    road = canvas.uniform(8, 12)
    canvas.paint(~plots.interior(road), Material.ROAD, 0.9)
    tanks_here = plots.value(1) < 0.6
    count = int(canvas.rng.integers(2, 5))
    tanks = plots.split(count, max(2, count - 1), road + 8)
    radius = np.float32(min(tanks.pitch_u, tanks.pitch_v) / 2 - 2) * tanks.between(1, 0.6, 0.98)
    distance = np.sqrt(tanks.du**2 + tanks.dv**2)
    tank = tanks_here & (distance < radius) & plots.interior(road) & (tanks.value(2) < 0.88)
    bund = tanks_here & plots.interior(road + 6) & ~plots.interior(road + 11)
    canvas.paint(bund, Material.CONCRETE, 0.8)
    white = np.array((0, 0.05, 0, 0.25, 0, 0.55, 0.1, 0.05), np.float32)
    canvas.build(tank, tanks, tanks.between(3, 8, 15), 2, roofs=white)
    units = plots.split(6, 5, road + 6)
    plant = (
        ~tanks_here
        & plots.interior(road + 6)
        & units.box(units.between(4, 3, 9), units.between(5, 3, 7))
        & (units.value(6) < 0.7)
    )
    canvas.build(plant, units, np.float32(6) + np.float32(34) * units.value(7) ** 4, 2, contrast=0.35)
    pipes = (np.abs(plots.dv) < 2.6) | (np.abs(plots.du - 12) < 1.8)
    canvas.paint(pipes & ~canvas.building, Material.METAL, 0.8, 5.0)


def _works(canvas: Canvas) -> None:
    _yard(canvas)
    u, v = canvas.frame()
    plots = canvas.grid(u, v, canvas.uniform(230, 360), canvas.uniform(95, 150))
    halls = plots.box(
        plots.between(1, 70, 130), plots.between(2, 13, 26), plots.between(3, -20, 20), plots.between(4, -12, 12)
    )
    halls |= plots.box(22, 18, plots.between(5, -90, 90), plots.between(6, -20, 20)) & (plots.value(7) < 0.6)
    canvas.paint(~plots.interior(10), Material.ROAD, 0.85)
    heap_at_u, heap_at_v = plots.between(8, -90, 90), plots.between(9, -42, 42)
    heap = (
        1
        - ((plots.du - heap_at_u) / plots.between(10, 20, 42)) ** 2
        - ((plots.dv - heap_at_v) / plots.between(11, 9, 17)) ** 2
    )
    kinds = np.array((Material.COAL, Material.SOIL, Material.ROCK, Material.RUST), np.uint8)
    canvas.paint(
        heap > 0,
        kinds[(plots.value(12) * 4).astype(np.uint8)],
        np.float32(1) - np.float32(0.2) * heap,
        9 * np.maximum(heap, 0),
    )
    for offset in (-38.0, -33.0, -28.0):
        canvas.paint(np.abs(plots.dv - offset) < 1.4, Material.ROCK, 0.6)
    canvas.build(halls, plots, plots.between(13, 9, 15), 2)
    _roof_ridges(canvas, u, v, plots)
    stacks = plots.split(9, 4)
    stack = (stacks.du**2 + stacks.dv**2 < 3.2**2) & (stacks.value(1) < 0.12)
    canvas.build(stack, stacks, stacks.between(2, 40, 90), 2)


def _port(canvas: Canvas) -> None:
    """Basins between piers; on the piers container stacks, cranes, sheds and rails."""
    u, v = canvas.frame()
    pier = canvas.uniform(150, 230)
    basin = canvas.uniform(55, 90)
    piers = canvas.grid(u, v, canvas.uniform(520, 800), pier + basin)
    land = np.abs(piers.dv) < pier / 2
    land |= np.abs(piers.du) < piers.pitch_u * canvas.uniform(0.05, 0.12)
    _yard(canvas)
    canvas.paint(~land, Material.WATER, np.float32(1) + np.float32(0.06) * canvas.noise(120, 2))
    quay = land & (np.abs(piers.dv) > pier / 2 - 16)
    canvas.paint(quay, Material.CONCRETE, 0.85)
    boats = canvas.grid(u, v, 190, piers.pitch_v)
    berth = boats.box(boats.between(1, 35, 75), boats.between(2, 8, 13), boats.between(3, -15, 15), pier / 2 + 14.0)
    lots = canvas.grid(u, v, 150, pier / 3)
    stacks = lots.split(10, 5, 14)
    store = land & ~quay & lots.interior(14) & (lots.value(1) < 0.55)
    canvas.paint(land & ~quay & ~store & (lots.value(1) < 0.75), Material.ASPHALT, 1.0)
    boxes = store & stacks.box(stacks.pitch_u / 2 - 1.2, stacks.pitch_v / 2 - 1.6) & (stacks.value(2) < 0.8)
    hold = np.array((Material.RUST, Material.METAL, Material.CONCRETE_TILE, Material.WHITE, Material.RUST), np.uint8)
    shed = land & ~quay & (lots.value(1) > 0.75) & lots.box(62, pier / 6 - 7)
    canvas.build(shed, lots, lots.between(3, 8, 13), 2)
    canvas.paint(
        boxes,
        hold[(stacks.value(3) * 5).astype(np.uint8)],
        np.float32(0.6) + np.float32(0.8) * stacks.value(4),
        stacks.between(5, 2.6, 12),
    )
    canvas.building |= boxes
    canvas.paint(
        berth & ~land & (boats.value(4) < 0.55), Material.RUST, np.float32(0.6) + np.float32(0.8) * boats.value(5), 14.0
    )
    cranes = canvas.grid(u, v, 75, piers.pitch_v)
    canvas.paint(cranes.box(2.0, 15, 0.0, pier / 2 - 2.0) & (cranes.value(1) < 0.5), Material.METAL, 0.9, 35.0)
