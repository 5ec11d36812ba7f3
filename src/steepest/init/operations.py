"""The operations between layers: what bends a signal, what passes it on, and what uses it up."""

from steepest.init.gains import GAINS

# How modules and functions are called, lower case and without underscores: the nonlinearity's name in GAINS.
NONLINEAR = {name.replace("_", ""): name for name in GAINS if name not in ("linear", "reglu", "geglu", "swiglu")} | {
    "clampmin": "relu", "rrelu": "leaky_relu", "swish": "silu", "threshold": "relu",
}  # fmt: skip
# What the output of a gate makes of the product with another tensor.
GATED = {"sigmoid": "glu", "relu": "reglu", "gelu": "geglu", "silu": "swiglu"}
# What leaves values, or their sums and choices, as they are.
TRANSPARENT = {
    "view", "reshape", "flatten", "unflatten", "permute", "transpose", "t", "contiguous", "chunk", "split", "getitem", "cat", "concat",
    "concatenate", "stack", "squeeze", "unsqueeze", "expand", "expandas", "repeat", "narrow", "select", "indexselect", "unbind", "movedim",
    "swapaxes", "float", "to", "type", "typeas", "clone", "detach", "alias", "add", "sub", "rsub", "neg", "mul", "div", "truediv",
    "mean", "sum", "max", "amax", "pad", "interpolate", "upsample", "roll", "identity", "pixelshuffle", "pixelunshuffle", "channelshuffle",
    "maskedfill",
    "rtruediv", "viewas", "reshapeas", "flip", "half", "bfloat16", "double", "gather", "where",
}  # fmt: skip
TRANSPARENT_PARTS = ("pool", "dropout", "upsampl", "pad", "norm", "fold")
# Where a signal is used up as it is: a matrix product between signals, a distribution.
CONSUMERS = {
    "matmul", "mm", "bmm", "addmm", "baddbmm", "einsum", "linear", "bilinear", "conv1d", "conv2d", "conv3d", "softmax", "softmax2d",
    "logsoftmax", "scaleddotproductattention", "attention", "crossentropy",
}  # fmt: skip


def plain_name(op: str) -> str:
    """`leaky_relu_`, `LeakyReLU` and `__iadd__` in one spelling."""
    plain = op.lower().replace("_", "")
    return {"iadd": "add", "radd": "add", "imul": "mul", "rmul": "mul", "multiply": "mul", "isub": "sub"}.get(plain, plain)
