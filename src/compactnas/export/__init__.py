"""A trained network as files that stand alone: ONNX, int8, torch.export, safetensors, with card and STAC item."""
