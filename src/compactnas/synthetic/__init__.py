"""Procedural world: cities of Local Climate Zones as Sentinel-2 would see them."""

from compactnas.synthetic.scene import CityScene, make_city
from compactnas.synthetic.write import city_seed, write_world

__all__ = ["CityScene", "city_seed", "make_city", "write_world"]
