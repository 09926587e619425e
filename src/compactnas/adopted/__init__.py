"""Networks that other software has trained: ONNX files with a manifest, which `compactnas adopt` writes."""
