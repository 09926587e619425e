"""Networks: operations, cells, backbones, baselines."""
