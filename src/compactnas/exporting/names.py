"""Names of the files of an export, and of the input and the output of its graphs."""

ONNX, INT8, PROGRAM, WEIGHTS, MODEL = "model.onnx", "model.int8.onnx", "model.pt2", "model.safetensors", "model.json"
GENOTYPE, PARITY, CARD, ITEM = "genotype.json", "parity.json", "README.md", "item.json"

INPUT, OUTPUT = "reflectance", "probabilities"
"""Names of the input and the output of a graph."""
