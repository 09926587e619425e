"""Painters of the built zones where people live: LCZ 1 to 7 and 9."""

from __future__ import annotations

import numpy as np

from compactnas.synthetic.canvas import Canvas, LotGrid, Mask
from compactnas.synthetic.materials import Floats, Material
from compactnas.synthetic.natural import crop_field, meadow
from compactnas.synthetic.properties import PROPERTIES, Range

_PAVING = (Material.ASPHALT, Material.ROAD, Material.CONCRETE)


def within(canvas: Canvas, limits: Range) -> float:
    """Draw a value inside a range of the table, away from its ends."""
    low, high = limits
    return canvas.uniform(low + 0.2 * (high - low), high - 0.2 * (high - low))


def _streets(canvas: Canvas, where: Mask, material: Material | None = None) -> None:
    chosen = material if material is not None else _PAVING[int(canvas.rng.choice(3, p=(0.45, 0.4, 0.15)))]
    canvas.paint(where, chosen, np.float32(1) + np.float32(0.06) * canvas.noise(40))


def _open_ground(canvas: Canvas, where: Mask, lots: LotGrid, pervious: float, soft: tuple[Material, ...]) -> None:
    """Pave or plant the open ground of each lot, so that about `pervious` of the canvas is planted."""
    share = min(1.0, pervious / max(float(where.mean()), 1e-3))
    planted = lots.value(911) < share
    speckle = np.float32(1) + np.float32(0.1) * canvas.noise(15)
    hard = np.array([Material.ASPHALT, Material.ROAD, Material.CONCRETE], np.uint8)[
        (lots.value(912) * 3).astype(np.uint8)
    ]
    canvas.paint(where & ~planted, hard, speckle)
    choice = np.array(soft, np.uint8)[(lots.value(913) * len(soft)).astype(np.uint8)]
    canvas.paint(where & planted, choice, speckle)


def compact_high_rise(canvas: Canvas) -> None:
    """LCZ 1: towers on most lots of a tight grid of blocks; streets in shadow."""
    facts = PROPERTIES[0]
    street = canvas.uniform(12, 20)
    u, v = canvas.frame()
    blocks = canvas.grid(u, v, canvas.uniform(75, 125) + street, canvas.uniform(55, 85) + street)
    _streets(canvas, np.ones_like(blocks.du, np.bool_))
    across, along = int(canvas.rng.integers(2, 4)), 2
    lots = blocks.split(across, along, street)
    gap = lots.between(1, 0.5, 4.0)
    inside = blocks.interior(street)
    _open_ground(canvas, inside, lots, 0.06, (Material.GRASS, Material.DIRT))
    tower = inside & lots.box(np.float32(lots.pitch_u / 2) - gap, np.float32(lots.pitch_v / 2) - gap)
    tower = canvas.thin(tower, lots, within(canvas, facts.building))
    storey = lots.value(2) ** 2
    height = np.float32(28) + np.float32(canvas.uniform(20, 110)) * storey
    canvas.build(tower, lots, height, 1)
    plant = tower & lots.box(
        lots.between(3, 3, 7), lots.between(4, 3, 7), lots.between(5, -5, 5), lots.between(6, -5, 5)
    )
    canvas.build(plant, lots.split(1, 1), height + np.float32(5), 1)
    canvas.trees(0.03 * canvas.climate.greenery, (2, 3.5), (5, 9))


def compact_mid_rise(canvas: Canvas) -> None:
    """LCZ 2: blocks closed along the street around courtyards, or dense rows."""
    facts = PROPERTIES[1]
    street = canvas.uniform(10, 17)
    bent = canvas.chance(0.5)
    u, v = canvas.frame(warp_m=canvas.uniform(8, 22) if bent else 0.0)
    blocks = canvas.grid(u, v, canvas.uniform(55, 130) + street, canvas.uniform(46, 85) + street)
    _streets(canvas, np.ones_like(blocks.du, np.bool_))
    inside = blocks.interior(street)
    lots = blocks.split(max(3, round(blocks.pitch_u / 22)), 3, street)
    edge = np.minimum(
        (blocks.pitch_u - street) / 2 - np.abs(blocks.du), (blocks.pitch_v - street) / 2 - np.abs(blocks.dv)
    )
    depth = np.float32(canvas.uniform(12, 16)) + lots.between(1, -1.5, 2.5)
    ring = inside & (edge < depth)
    _open_ground(canvas, inside, lots, within(canvas, facts.pervious), (Material.GRASS, Material.DIRT, Material.GRASS))
    wing = inside & ~ring & (np.abs(lots.du) < lots.between(2, 4, 8)) & (lots.value(3) < 0.6)
    wanted = within(canvas, facts.building)
    missing = wanted - float(ring.mean())
    if missing > 0:
        ring |= canvas.thin(wing, lots, missing)
    square = blocks.value(4) < 0.05
    body = canvas.thin(ring & ~square, lots, wanted)
    canvas.build(body, lots, np.float32(12) + lots.between(5, 0, 11), 1 if canvas.chance(0.6) else 0, contrast=0.16)
    canvas.trees(0.05 * canvas.climate.greenery, (2, 4), (6, 11))
    canvas.trees(0.5, (2.5, 4.5), (7, 12), where=square & inside)


def compact_low_rise(canvas: Canvas) -> None:
    """LCZ 3: small houses wall to wall on narrow lanes; terraces or an old town of courtyards."""
    facts = PROPERTIES[2]
    old_town = canvas.chance({"arid": 0.75, "mediterranean": 0.5, "tropical": 0.3}.get(canvas.climate.biome, 0.15))
    lane = canvas.uniform(3.5, 6.5) if old_town else canvas.uniform(5.5, 9)
    u, v = canvas.frame(warp_m=canvas.uniform(14, 26) if old_town else canvas.uniform(0, 6), warp_scale_m=140)
    deep = canvas.uniform(22, 30) if old_town else canvas.uniform(24, 34)
    blocks = canvas.grid(u, v, canvas.uniform(45, 110) + lane, deep + lane, stagger=0.4 if old_town else 0.0)
    _streets(canvas, np.ones_like(blocks.du, np.bool_), Material.DIRT if old_town and canvas.chance(0.4) else None)
    lots = blocks.split(max(3, round(blocks.pitch_u / canvas.uniform(8, 17))), 2, lane)
    inside = blocks.interior(lane)
    _open_ground(canvas, inside, lots, within(canvas, facts.pervious), (Material.DIRT, Material.GRASS, Material.SOIL))
    depth = lots.between(1, 0.62, 0.95)
    sign = np.where(lots.j & 1, np.float32(1), np.float32(-1))
    house = inside & (
        np.abs(lots.dv - sign * (1 - depth) * np.float32(lots.pitch_v / 2)) < depth * np.float32(lots.pitch_v / 2)
    )
    if old_town:
        house = inside & ~((np.abs(lots.du) < 2.2) & (np.abs(lots.dv) < 2.6) & (lots.value(2) < 0.8))
    house = canvas.thin(house, lots, within(canvas, facts.building))
    canvas.build(house, lots, lots.between(3, 3.5, 9.5), 0, contrast=0.26)
    canvas.trees(0.05 * canvas.climate.greenery, (1.5, 3), (3, 6))


def open_high_rise(canvas: Canvas) -> None:
    """LCZ 4: tall slabs or towers apart from each other in lawns, trees and car parks."""
    facts = PROPERTIES[3]
    towers = canvas.chance(0.5)
    road = canvas.uniform(8, 13)
    u, v = canvas.frame(warp_m=canvas.uniform(0, 8))
    pitch_u, pitch_v = (
        (canvas.uniform(48, 60), canvas.uniform(48, 60))
        if towers
        else (canvas.uniform(76, 110), canvas.uniform(38, 52))
    )
    lots = canvas.grid(u, v, pitch_u, pitch_v, stagger=0.5 if canvas.chance(0.4) else 0.0)
    _lawns(canvas, u, v, lots, within(canvas, facts.impervious), road)
    if towers:
        half_u, half_v = lots.between(1, 12, 17), lots.between(2, 12, 17)
    else:
        half_u, half_v = np.float32(pitch_u / 2) - lots.between(1, 8, 15), lots.between(2, 7.5, 10)
    at_u, at_v = lots.between(3, -4, 4), lots.between(4, -4, 4)
    body = canvas.thin(lots.box(half_u, half_v, at_u, at_v), lots, within(canvas, facts.building))
    canvas.build(body, lots, np.float32(26) + np.float32(canvas.uniform(8, 60)) * lots.value(5), 1)
    canvas.trees(min(0.3, 0.14 * canvas.climate.greenery), (2.5, 4.5), (6, 13), where=canvas.material == Material.GRASS)


def _lawns(canvas: Canvas, u: Floats, v: Floats, lots: LotGrid, impervious: float, road: float) -> None:
    """Paint grass between free-standing houses, with roads and car parks up to the share `impervious`."""
    canvas.paint(np.ones_like(u, np.bool_), Material.GRASS, np.float32(1) + np.float32(0.12) * canvas.noise(30, 2))
    estate = canvas.grid(u, v, lots.pitch_u * 2, lots.pitch_v * 2)
    roads = ~estate.interior(road)
    _streets(canvas, roads)
    missing = max(1.2 * impervious - float(roads.mean()), 0.0)  # houses will stand on some of it
    strip = lots.box(lots.pitch_u / 2 - 5, 9.0, 0.0, lots.pitch_v / 2 - 10) & ~roads
    parks = canvas.thin(strip, lots, missing)
    canvas.paint(parks, Material.ASPHALT, np.float32(0.85) + np.float32(0.5) * lots.split(12, 12).value(1))
    missing -= float(parks.mean())
    if missing > 0.02:
        paths = (lots.box(lots.pitch_u / 2 - 3, lots.pitch_v / 2 - 3)) & ~roads & ~parks
        plaza = canvas.grid(u, v, 26, 26)
        canvas.paint(
            canvas.thin(paths, plaza, missing), Material.CONCRETE, np.float32(0.7) + np.float32(0.4) * plaza.value(1)
        )


def open_mid_rise(canvas: Canvas) -> None:
    """LCZ 5: parallel slabs, or open blocks, of three to eight storeys with trees between."""
    facts = PROPERTIES[4]
    road = canvas.uniform(7, 12)
    u, v = canvas.frame(warp_m=canvas.uniform(0, 16))
    slabs = canvas.chance(0.6)
    pitch_u, pitch_v = (
        (canvas.uniform(44, 96), canvas.uniform(26, 42)) if slabs else (canvas.uniform(30, 42), canvas.uniform(30, 40))
    )
    lots = canvas.grid(u, v, pitch_u, pitch_v, stagger=0.3 if canvas.chance(0.3) else 0.0)
    _lawns(canvas, u, v, lots, within(canvas, facts.impervious), road)
    half_u = np.float32(pitch_u / 2) - lots.between(1, 5, 9)
    half_v = lots.between(2, 5.5, 7.5) if slabs else lots.between(2, 7.5, 11)
    body = lots.box(half_u, half_v, lots.between(3, -2, 2), lots.between(4, -2, 2))
    body = canvas.thin(body, lots, within(canvas, facts.building))
    canvas.build(body, lots, lots.between(5, 11, 22), 1 if canvas.chance(0.5) else 0)
    canvas.trees(
        min(0.35, 0.18 * canvas.climate.greenery), (2.5, 4.5), (6, 12), where=canvas.material == Material.GRASS
    )


def open_low_rise(canvas: Canvas) -> None:
    """LCZ 6: detached houses in gardens along bending streets."""
    facts = PROPERTIES[5]
    street = canvas.uniform(7, 10)
    u, v = canvas.frame(warp_m=canvas.uniform(4, 40), warp_scale_m=canvas.uniform(220, 420))
    blocks = canvas.grid(u, v, canvas.uniform(110, 220) + street, 2 * canvas.uniform(24, 33) + street)
    lots = blocks.split(max(4, round(blocks.pitch_u / canvas.uniform(16, 24))), 2, street)
    inside = blocks.interior(street)
    _streets(canvas, ~inside)
    _gardens(canvas, inside, lots)
    size = lots.between(1, 0.8, 1.15)
    half_u, half_v = size * np.float32(canvas.uniform(5.6, 7.4)), lots.between(2, 5.5, 8.5)
    sign = np.where(lots.j & 1, np.float32(1), np.float32(-1))
    at_v = sign * np.float32(lots.pitch_v / 2 - 12) + lots.between(4, -2, 2)
    house = canvas.thin(
        inside & lots.box(half_u, half_v, lots.between(3, -1.5, 1.5), at_v), lots, within(canvas, facts.building)
    )
    drive = inside & lots.box(1.9, lots.pitch_v / 2, lots.pitch_u / 2 - 3, sign * np.float32(lots.pitch_v / 2))
    canvas.paint(drive, Material.CONCRETE, 0.9)
    canvas.build(house, lots, lots.between(5, 4, 8.5), 0, contrast=0.26)
    canvas.trees(
        min(0.45, 0.22 * canvas.climate.greenery),
        (2, 4.5),
        (4, 11),
        where=inside & (canvas.material != Material.CONCRETE),
    )


def _gardens(canvas: Canvas, where: Mask, lots: LotGrid) -> None:
    dry = lots.value(921) > 0.35 + 0.6 * canvas.climate.plants.grass
    canvas.paint(where, Material.GRASS, np.float32(0.85) + np.float32(0.3) * lots.value(922))
    canvas.paint(where & dry, Material.DIRT, np.float32(0.85) + np.float32(0.3) * lots.value(923))
    terrace = where & (np.abs(lots.du) < lots.between(924, 3, 9)) & (np.abs(lots.dv) < lots.between(925, 4, 9))
    canvas.paint(
        terrace & (lots.value(926) < 0.7), Material.CONCRETE, np.float32(0.6) + np.float32(0.4) * lots.value(927)
    )


def lightweight_low_rise(canvas: Canvas) -> None:
    """LCZ 7: huts of sheet metal and scrap materials, wall to wall, on bare earth."""
    facts = PROPERTIES[6]
    u, v = canvas.frame(canvas.turn(), warp_m=canvas.uniform(10, 22), warp_scale_m=90)
    canvas.paint(np.ones_like(u, np.bool_), Material.DIRT, np.float32(1) + np.float32(0.1) * canvas.noise(25, 2))
    canvas.paint(canvas.noise(60) > canvas.uniform(0.3, 2.0), Material.ROAD, 1.1)
    paths = canvas.grid(u, v, canvas.uniform(26, 44), canvas.uniform(18, 26), stagger=0.35)
    lane = canvas.uniform(1.6, 2.8)
    huts = paths.split(max(4, round(paths.pitch_u / canvas.uniform(5, 8))), 3, lane)
    body = paths.interior(lane) & huts.box(huts.pitch_u / 2, huts.pitch_v / 2)
    clearing = canvas.noise(70) > 1.6
    body = canvas.thin(body & ~clearing, huts, within(canvas, facts.building))
    shares = np.array((0.05, 0.05, 0.05, 0.4, 0.1, 0.05, 0.1, 0.3), np.float32) + 0.15 * canvas.climate.roofs[0]
    canvas.build(body, huts, huts.between(1, 2, 3.8), 0, roofs=shares / shares.sum(), contrast=0.4)
    canvas.trees(0.02 * canvas.climate.greenery, (1.5, 3), (3, 6))


def sparsely_built(canvas: Canvas) -> None:
    """LCZ 9: houses and farms apart from each other in meadows, fields and trees."""
    facts = PROPERTIES[8]
    if canvas.chance(0.5):
        crop_field(canvas, canvas.uniform(60, 110))
    else:
        meadow(canvas)
    u, v = canvas.frame(canvas.turn(), warp_m=canvas.uniform(20, 45))
    pitch = canvas.uniform(36, 46)
    lots = canvas.grid(u, v, pitch, pitch * canvas.uniform(0.85, 1.1), stagger=0.5)
    groves = canvas.noise(130) > canvas.uniform(0.3, 1.0)
    canvas.trees(0.55, (2.5, 5), (6, 14), where=groves)
    canvas.trees(0.1 * canvas.climate.greenery, (2, 4.5), (4, 11))
    road = ~canvas.grid(u, v, lots.pitch_u * 4, lots.pitch_v * 3).interior(6.5)
    _streets(canvas, road, Material.DIRT if canvas.chance(0.4) else None)
    yard = lots.box(lots.between(1, 9, 14), lots.between(2, 9, 14), lots.between(3, -5, 5), lots.between(4, -5, 5))
    kept = canvas.thin(yard, lots, 2.4 * within(canvas, facts.building)) & ~road
    ground = np.where(lots.value(10) < 0.55, np.uint8(Material.ROAD), np.uint8(Material.DIRT))
    canvas.paint(kept & (lots.value(5) < 0.8), ground, np.float32(0.8) + np.float32(0.4) * lots.value(6))
    house = kept & lots.box(
        lots.between(7, 6.5, 11), lots.between(8, 6, 9.5), lots.between(3, -5, 5), lots.between(4, -5, 5)
    )
    canvas.build(house, lots, lots.between(9, 3.5, 8.5), 0, contrast=0.26)
