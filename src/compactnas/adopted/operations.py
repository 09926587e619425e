"""ONNX operations that an adopted network may have."""

from __future__ import annotations

OPERATIONS = frozenset(
    "Abs Add And AveragePool BatchNormalization Cast CastLike Ceil Celu Clip Concat Constant ConstantOfShape Conv "
    "ConvInteger ConvTranspose DepthToSpace DequantizeLinear Div Dropout DynamicQuantizeLinear Elu Equal Erf Exp "
    "Expand Flatten Floor Gather Gelu Gemm GlobalAveragePool GlobalMaxPool Greater GroupNormalization HardSigmoid "
    "HardSwish Identity InstanceNormalization LRN LayerNormalization LeakyRelu Less Log LogSoftmax LpNormalization "
    "MatMul MatMulInteger Max MaxPool Mean Min Mish Mod Mul Neg Not Or PRelu Pad Pow QLinearConv QLinearMatMul "
    "QuantizeLinear Range Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd "
    "ReduceSum ReduceSumSquare Relu Reshape Resize Round Selu Shape Sigmoid Sign Size Slice Softmax Softplus "
    "Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh ThresholdedRelu Tile Transpose Unsqueeze Upsample "
    "Where".split()
)
"""Operations that torch, tf2onnx, Keras and ONNX optimisers write for image classifiers, in the domain `ai.onnx`.

None of them runs a subgraph, draws random numbers (Dropout is checked by running the network twice) or reads a file.
Those that compute a shape from values (Reshape, Expand, Tile, Resize, ...) are allowed because `sizes.py` works out
every shape before anything runs.
"""
