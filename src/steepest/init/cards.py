"""What `steepest list` and `steepest explain` say of initializers and plans besides what stands in their code."""

from typing import NamedTuple


class Card(NamedTuple):
    summary: str
    use: str
    paper: str = ""


GLOROT = "Glorot & Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS 2010"
HE = "He et al., Delving Deep into Rectifiers, ICCV 2015; arXiv:1502.01852"
LECUN = "LeCun et al., Efficient BackProp, in Neural Networks: Tricks of the Trade, 1998"
SAXE = "Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep linear neural networks, ICLR 2014; arXiv:1312.6120"
BALDUZZI = "Balduzzi et al., The Shattered Gradients Problem, ICML 2017; arXiv:1702.08591"
XIAO = "Xiao et al., Dynamical Isometry and a Mean Field Theory of CNNs, ICML 2018; arXiv:1806.05393"
DIRAC = "Zagoruyko & Komodakis, DiracNets: Training Very Deep Neural Networks Without Skip-Connections, 2017; arXiv:1706.00388"
IDENTITY = "Le et al., A Simple Way to Initialize Recurrent Networks of Rectified Linear Units, 2015; arXiv:1504.00941"
MUP = "Yang et al., Tensor Programs V: Tuning Large Neural Networks via Zero-Shot Hyperparameter Transfer, 2022; arXiv:2203.03466"
ZERO = "Zhao et al., ZerO Initialization: Initializing Neural Networks with only Zeros and Ones, TMLR 2022; arXiv:2110.12661"

INITIALIZERS: dict[str, Card] = {
    "zeros": Card(
        "Every value 0.", "Biases, and the last layer of a residual branch; never every weight of a network: nothing would learn."
    ),
    "ones": Card("Every value 1.", "Scales of normalization layers."),
    "constant": Card(
        "Every value the same.", "Biases with a purpose: 1 for a forget gate, ln(p / (1 - p)) before a sigmoid that should say p."
    ),
    "normal": Card(
        "Independent normal numbers of one deviation, whatever the layer's width.",
        "To follow a paper that names a deviation, as GPT-2 its 0.02.",
    ),
    "uniform": Card("Independent uniform numbers between two bounds.", "To follow a paper that names bounds."),
    "truncated_normal": Card(
        "A normal that is cut on both sides.", "Vision transformers and EfficientNets, whose papers use it; outliers are left out."
    ),
    "variance_scaling": Card("Variance in inverse proportion to a fan.", "When none of its named cases fits; set scale and mode."),
    "xavier_uniform": Card(
        "Keeps signals and gradients at once as well as one variance can.",
        "Before tanh, sigmoid (gain 4) and softmax, and in attention; not in deep ReLU stacks.",
        GLOROT,
    ),
    "xavier_normal": Card(
        "Keeps signals and gradients at once as well as one variance can.",
        "Before tanh, sigmoid (gain 4) and softmax, and in attention; not in deep ReLU stacks.",
        GLOROT,
    ),
    "he_uniform": Card(
        "Keeps signals through ReLU, or through what gain names.",
        "Before ReLU and its like; mode fan_out keeps gradients instead of signals.",
        HE,
    ),
    "he_normal": Card(
        "Keeps signals through ReLU, or through what gain names.",
        "Before ReLU and its like; mode fan_out keeps gradients instead of signals, as is usual in ResNets.",
        HE,
    ),
    "lecun_uniform": Card("Keeps signals where nothing bends them.", "Before SELU, and where no nonlinearity follows.", LECUN),
    "lecun_normal": Card(
        "Keeps signals where nothing bends them.",
        "Before SELU, and where no nonlinearity follows: the head, and behind normalization.",
        LECUN,
    ),
    "orthogonal": Card(
        "A random rotation: lengths and angles stay, whatever the depth.",
        "Recurrent weights, deep stacks without normalization, and the start of LSUV.",
        SAXE,
    ),
    "looks_linear": Card(
        "Mirrored weights, behind which ReLUs add up to a linear network.",
        "Very deep ReLU stacks without normalization or skips: signals and gradients pass unchanged.",
        BALDUZZI,
    ),
    "delta_orthogonal": Card(
        "An orthogonal matrix in the middle of a kernel.",
        "Very deep convolutional stacks without normalization.",
        XIAO,
    ),
    "dirac": Card("A convolution that passes its channels on.", "Convolutions that should begin by doing nothing.", DIRAC),
    "identity": Card("The identity matrix, times gain.", "Recurrent ReLU networks.", IDENTITY),
    "sparse": Card(
        "A fixed number of inputs per unit, whatever the width.",
        "Where units should differ from the start.",
        "Martens, Deep learning via Hessian-free optimization, ICML 2010",
    ),
    "zer_o": Card(
        "ZerO: identities and pieces of Hadamard matrices, nothing random.",
        "Runs that should not depend on a seed, in networks with residual branches.",
        ZERO,
    ),
}

PLANS: dict[str, Card] = {
    "auto": Card(
        "Looks at what follows each layer, how deep it lies, and where branches end.",
        "Whenever no paper says otherwise. Give it a sample, and print the report: it says why.",
    ),
    "xavier": Card("xavier_uniform for every weight.", "tanh networks of moderate depth, and comparisons.", GLOROT),
    "he": Card("he_normal for every weight.", "Plain ReLU networks, and comparisons.", HE),
    "orthogonal": Card("Orthogonal weights, with the gain of what follows.", "Recurrent and deep plain networks.", SAXE),
    "fixup": Card(
        "Branches end in zero, their other layers shrink with the number of branches, the head is zero.",
        "Residual networks without normalization; add Fixup's scalars to the network.",
        "Zhang et al., Fixup Initialization, ICLR 2019; arXiv:1901.09321",
    ),
    "skip_zero": Card(
        "He, and the last layer of every residual branch zero.",
        "Residual networks with normalization, above all at large batches.",
        "Goyal et al., Accurate, Large Minibatch SGD, 2017; arXiv:1706.02677",
    ),
    "depth_scaled": Card(
        "He, and the last layer of every branch divided by the root of their number.",
        "Transformers, as GPT-2 does it.",
        "Radford et al., Language Models are Unsupervised Multitask Learners, 2019",
    ),
    "mup": Card(
        "Variances and rates by width, so that the best lr stays put when a model grows.",
        "To tune a narrow model and train a wide one; hand lr_multipliers to steepest.rules.plans.scaled.",
        MUP,
    ),
    "zer_o": Card(
        "ZerO: identities and Hadamard matrices, and zero where a residual branch ends.",
        "Residual networks that should not depend on a seed.",
        ZERO,
    ),
    "torch_default": Card("What torch itself starts each layer with.", "To compare, or to start a model afresh by a seed."),
}

SETTINGS: dict[str, str] = {
    "value": "what every value is",
    "mean": "the mean",
    "std": "the deviation; of truncated_normal, that before the cut",
    "low": "the lower bound",
    "high": "the upper bound",
    "cut": "how many deviations from the mean the cut lies",
    "scale": "the variance times the fan",
    "mode": "the fan: fan_in, fan_out or fan_avg",
    "distribution": "normal, uniform or truncated_normal",
    "gain": "what the deviation is multiplied by, or the nonlinearity whose gain is taken",
    "centered": "whether the mean of each row is taken off",
    "inputs": "whether the inputs come mirrored",
    "outputs": "whether the outputs are to be mirrored",
    "connections": "how many inputs each unit sees",
}
