"""From a place and a season to a scene: search a STAC catalogue, mask clouds, and write a composite."""
