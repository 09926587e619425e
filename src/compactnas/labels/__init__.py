"""Labels on the ground: polygons and rasters of Local Climate Zones, for training and for assessing maps."""
