"""Export a trained network to self-contained files: ONNX, int8, torch.export, safetensors, model card, STAC item."""
