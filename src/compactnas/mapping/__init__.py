"""Maps of Local Climate Zones: from a scene and a network to GeoTIFFs and their accuracy."""
