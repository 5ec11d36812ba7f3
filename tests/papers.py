"""The algorithms once more: literal float64 transcriptions of the papers, against which the rules are tested.

Written apart from the rules and from the papers alone; where the authors' own code differs from their paper,
the code is followed and the docstring says so. Slow and plain on purpose: lists, loops, one line per formula.

An algorithm is `name(parameters, gradient, steps, ...)`; `gradient(parameters, t)` gives the gradients at step t,
counted from 1. `lr` is a number or a function of t: some forms differ only while the rate changes. Weight decay
is decoupled, `p -= lr * (direction + weight_decay * p)` with the p before the step, unless a docstring says otherwise.
A result is the final parameters; with averages also the view, the weights to evaluate.

What acts on the gradient alone (clipping, centralization, penalties, SAM) takes a gradient function and gives one,
and so goes around every algorithm: `sgd(parameters, clip_global_norm(gradient, 1.0), steps, lr=0.1)`.
"""

from collections.abc import Callable
from math import inf, sqrt

import torch
from torch import Tensor

Tensors = list[Tensor]
Gradient = Callable[[Tensors, int], Tensors]
Rate = float | Callable[[int], float]


def start(parameters: Tensors) -> Tensors:
    return [x.detach().clone() for x in parameters]


def zeros(parameters: Tensors) -> Tensors:
    return [torch.zeros_like(x) for x in parameters]


def at(lr: Rate, t: int) -> float:
    return lr(t) if callable(lr) else lr


def total(tensors: Tensors) -> float:
    return sum(x.sum().item() for x in tensors)


def matrix(x: Tensor) -> Tensor:  # (rows, ...) -> (rows, cols)
    return x.reshape(len(x), -1)


# Gradient descent and momentum


def sgd(parameters, gradient, steps, lr: Rate = 1e-3, weight_decay=0.0):
    """p = p - lr g."""
    p = start(parameters)
    for t in range(1, steps + 1):
        for i, g in enumerate(gradient(p, t)):
            p[i] = p[i] - at(lr, t) * (g + weight_decay * p[i])
    return p


def heavy_ball(parameters, gradient, steps, lr: Rate = 1e-3, momentum=0.9, dampening=0.0, nesterov=False, weight_decay=0.0):
    """Polyak, 1964, as torch has it: the first gradient enters the buffer undampened."""
    p, v = start(parameters), zeros(parameters)
    for t in range(1, steps + 1):
        for i, g in enumerate(gradient(p, t)):
            v[i] = g if t == 1 else momentum * v[i] + (1 - dampening) * g
            d = g + momentum * v[i] if nesterov else v[i]
            p[i] = p[i] - at(lr, t) * (d + weight_decay * p[i])
    return p


def average_momentum(parameters, gradient, steps, lr: Rate = 1e-3, beta=0.9, nesterov=False, weight_decay=0.0):
    """v = beta v + (1 - beta) g from v = 0, without bias correction."""
    p, v = start(parameters), zeros(parameters)
    for t in range(1, steps + 1):
        for i, g in enumerate(gradient(p, t)):
            v[i] = beta * v[i] + (1 - beta) * g
            d = beta * v[i] + (1 - beta) * g if nesterov else v[i]
            p[i] = p[i] - at(lr, t) * (d + weight_decay * p[i])
    return p


def rate_inside_momentum(parameters, gradient, steps, lr: Rate = 1e-3, momentum=0.9, nesterov=False, weight_decay=0.0):
    """Sutskever et al., 2013: v = mu v + lr g, p = p - v. Decay stays out of the velocity."""
    p, v = start(parameters), zeros(parameters)
    for t in range(1, steps + 1):
        for i, g in enumerate(gradient(p, t)):
            v[i] = momentum * v[i] + at(lr, t) * g
            move = momentum * v[i] + at(lr, t) * g if nesterov else v[i]
            p[i] = p[i] - move - at(lr, t) * weight_decay * p[i]
    return p


# One rate per coordinate


def adagrad_inside(parameters, gradient, steps, lr: Rate = 1e-2, lr_decay=0.0, initial_accumulator_value=0.0, eps=1e-10, weight_decay=0.0):
    """Duchi et al., 2011, eps inside the root. lr_decay is torch's; it slows the direction, not the weight decay."""
    p, s = start(parameters), [x + initial_accumulator_value for x in zeros(parameters)]
    for t in range(1, steps + 1):
        rate = at(lr, t) / (1 + (t - 1) * lr_decay)
        for i, g in enumerate(gradient(p, t)):
            s[i] = s[i] + g**2
            p[i] = p[i] - rate * g / torch.sqrt(s[i] + eps) - at(lr, t) * weight_decay * p[i]
    return p


def rmsprop_inside(parameters, gradient, steps, lr: Rate = 1e-2, alpha=0.99, eps=1e-8, momentum=0.0, centered=False, weight_decay=0.0):
    """Tieleman & Hinton, 2012, eps inside the root; centered and momentum as torch: b = mu b + g / root, p -= lr b."""
    p, v, a, b = start(parameters), zeros(parameters), zeros(parameters), zeros(parameters)
    for t in range(1, steps + 1):
        for i, g in enumerate(gradient(p, t)):
            v[i] = alpha * v[i] + (1 - alpha) * g**2
            a[i] = alpha * a[i] + (1 - alpha) * g
            variance = v[i] - a[i] ** 2 if centered else v[i]
            b[i] = momentum * b[i] + g / torch.sqrt(variance + eps)
            p[i] = p[i] - at(lr, t) * (b[i] + weight_decay * p[i])
    return p


# Adam and its family


def adamw(parameters, gradient, steps, lr: Rate = 1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0, amsgrad=False):
    """Kingma & Ba, 2015; Loshchilov & Hutter, 2019; Reddi et al., 2018: the maximum is of the uncorrected v, as torch."""
    p, m, v, largest = start(parameters), zeros(parameters), zeros(parameters), zeros(parameters)
    for t in range(1, steps + 1):
        for i, g in enumerate(gradient(p, t)):
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g**2
            largest[i] = torch.maximum(largest[i], v[i])
            m_hat = m[i] / (1 - beta1**t)
            v_hat = (largest[i] if amsgrad else v[i]) / (1 - beta2**t)
            p[i] = p[i] - at(lr, t) * (m_hat / (torch.sqrt(v_hat) + eps) + weight_decay * p[i])
    return p


def adabelief(parameters, gradient, steps, lr: Rate = 1e-3, beta1=0.9, beta2=0.999, eps=1e-16, weight_decay=0.0):
    """Zhuang et al., 2020, Algorithm 2: eps enters s at every step, where it accumulates, and the denominator."""
    p, m, s = start(parameters), zeros(parameters), zeros(parameters)
    for t in range(1, steps + 1):
        for i, g in enumerate(gradient(p, t)):
            m[i] = beta1 * m[i] + (1 - beta1) * g
            s[i] = beta2 * s[i] + (1 - beta2) * (g - m[i]) ** 2 + eps
            m_hat = m[i] / (1 - beta1**t)
            s_hat = s[i] / (1 - beta2**t)
            p[i] = p[i] - at(lr, t) * (m_hat / (torch.sqrt(s_hat) + eps) + weight_decay * p[i])
    return p


def yogi(parameters, gradient, steps, lr: Rate = 1e-2, beta1=0.9, beta2=0.999, eps=1e-3, weight_decay=0.0, initial_accumulator=1e-6):
    """Zaheer et al., 2018, Algorithm 2, with Adam's bias corrections, which the paper leaves out."""
    p, m, v = start(parameters), zeros(parameters), [x + initial_accumulator for x in zeros(parameters)]
    for t in range(1, steps + 1):
        for i, g in enumerate(gradient(p, t)):
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = v[i] - (1 - beta2) * torch.sign(v[i] - g**2) * g**2
            m_hat = m[i] / (1 - beta1**t)
            v_hat = v[i] / (1 - beta2**t)
            p[i] = p[i] - at(lr, t) * (m_hat / (torch.sqrt(v_hat) + eps) + weight_decay * p[i])
    return p


def adopt(parameters, gradient, steps, lr: Rate = 1e-3, beta1=0.9, beta2=0.9999, eps=1e-6, weight_decay=0.0, clip=True):
    """Taniguchi et al., 2024, Algorithm 2; without clip Algorithm 1. The first step sets v and only decays (the authors' does not)."""
    p, m, v = start(parameters), zeros(parameters), zeros(parameters)
    for t in range(1, steps + 1):
        for i, g in enumerate(gradient(p, t)):
            if t == 1:
                v[i] = g**2
                p[i] = p[i] - at(lr, t) * weight_decay * p[i]
                continue
            c = (t - 1) ** 0.25 if clip else inf
            normed = g / torch.clamp(torch.sqrt(v[i]), min=eps)
            m[i] = beta1 * m[i] + (1 - beta1) * torch.clamp(normed, -c, c)
            p[i] = p[i] - at(lr, t) * (m[i] + weight_decay * p[i])
            v[i] = beta2 * v[i] + (1 - beta2) * g**2
    return p


def lion(parameters, gradient, steps, lr: Rate = 1e-4, beta1=0.9, beta2=0.99, weight_decay=0.0):
    """Chen et al., 2023, Algorithm 2."""
    p, m = start(parameters), zeros(parameters)
    for t in range(1, steps + 1):
        for i, g in enumerate(gradient(p, t)):
            c = beta1 * m[i] + (1 - beta1) * g
            p[i] = p[i] - at(lr, t) * (torch.sign(c) + weight_decay * p[i])
            m[i] = beta2 * m[i] + (1 - beta2) * g
    return p


def adan(parameters, gradient, steps, lr: Rate = 1e-3, beta1=0.98, beta2=0.92, beta3=0.99, eps=1e-8, weight_decay=0.0):
    """Xie et al., 2022, in the authors' code: betas weigh the past, averages are bias-corrected, decay is proximal, p / (1 + lr decay)."""
    p, m, v, n, previous = start(parameters), zeros(parameters), zeros(parameters), zeros(parameters), zeros(parameters)
    for t in range(1, steps + 1):
        for i, g in enumerate(gradient(p, t)):
            difference = torch.zeros_like(g) if t == 1 else g - previous[i]
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * difference
            n[i] = beta3 * n[i] + (1 - beta3) * (g + beta2 * difference) ** 2
            m_hat, v_hat, n_hat = m[i] / (1 - beta1**t), v[i] / (1 - beta2**t), n[i] / (1 - beta3**t)
            d = (m_hat + beta2 * v_hat) / (torch.sqrt(n_hat) + eps)
            p[i] = (p[i] - at(lr, t) * d) / (1 + at(lr, t) * weight_decay)
            previous[i] = g
    return p


# One rate per layer


def lars(parameters, gradient, steps, lr: Rate = 1e-3, momentum=0.9, trust_coefficient=1e-3, eps=1e-8, weight_decay=0.0):
    """You et al., 2017, Algorithm 1: coupled decay, the rate inside the velocity. Ours: eps, and a ratio of 1 at a zero norm."""
    p, v = start(parameters), zeros(parameters)
    for t in range(1, steps + 1):
        for i, g in enumerate(gradient(p, t)):
            p_norm, g_norm = torch.norm(p[i]), torch.norm(g)
            trust = trust_coefficient * p_norm / (g_norm + weight_decay * p_norm + eps) if p_norm > 0 and g_norm > 0 else 1.0
            v[i] = momentum * v[i] + at(lr, t) * trust * (g + weight_decay * p[i])
            p[i] = p[i] - v[i]
    return p


def lamb(parameters, gradient, steps, lr: Rate = 1e-3, beta1=0.9, beta2=0.999, eps=1e-6, weight_decay=0.0):
    """You et al., 2020, Algorithm 2 with phi the identity: decay is inside the ratio, which is 1 where a norm is 0."""
    p, m, v = start(parameters), zeros(parameters), zeros(parameters)
    for t in range(1, steps + 1):
        for i, g in enumerate(gradient(p, t)):
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g**2
            r = m[i] / (1 - beta1**t) / (torch.sqrt(v[i] / (1 - beta2**t)) + eps)
            u = r + weight_decay * p[i]
            p_norm, u_norm = torch.norm(p[i]), torch.norm(u)
            p[i] = p[i] - at(lr, t) * (p_norm / u_norm if p_norm > 0 and u_norm > 0 else 1.0) * u
    return p


def trust_ratio_momentum(parameters, gradient, steps, lr: Rate = 1e-3, momentum=0.9, weight_decay=0.0, low=0.0, high=inf):
    """LAMB's ratio around the heavy ball: phi(||p||) / ||d + decay p||, 1 where a norm is 0; phi(z) = min(max(z, low), high)."""
    p, v = start(parameters), zeros(parameters)
    for t in range(1, steps + 1):
        for i, g in enumerate(gradient(p, t)):
            v[i] = momentum * v[i] + g
            u = v[i] + weight_decay * p[i]
            p_norm, u_norm = torch.clamp(torch.norm(p[i]), low, high), torch.norm(u)
            p[i] = p[i] - at(lr, t) * (p_norm / u_norm if p_norm > 0 and u_norm > 0 else 1.0) * u
    return p


# Matrices: two dimensions or more, flattened to (rows, cols)


def newton_schulz(x: Tensor, steps=5, eps=1e-7, coefficients=(3.4445, -4.7750, 2.0315)) -> Tensor:  # (rows, cols)
    """Jordan, 2024: nearly the orthogonal factor of x. eps is added to the norm as in the post (torch: the norm is at least eps)."""
    a, b, c = coefficients
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (torch.norm(x) + eps)
    for _ in range(steps):
        s = x @ x.T
        x = a * x + (b * s + c * s @ s) @ x
    return x.T if tall else x


def muon(
    parameters,
    gradient,
    steps,
    lr: Rate = 1e-3,
    momentum=0.95,
    nesterov=True,
    weight_decay=0.1,
    eps=1e-7,
    ns_steps=5,
    coefficients=(3.4445, -4.7750, 2.0315),
    adjust="original",
):
    """Jordan, 2024, as torch.optim.Muon: the buffer is an average from 0, decay is not scaled by the shape."""
    p, v = start(parameters), zeros(parameters)
    for t in range(1, steps + 1):
        for i, g in enumerate(gradient(p, t)):
            v[i] = momentum * v[i] + (1 - momentum) * g
            d = momentum * v[i] + (1 - momentum) * g if nesterov else v[i]
            rows, cols = matrix(g).shape
            scale = {"original": sqrt(max(1, rows / cols)), "match_rms_adamw": 0.2 * sqrt(max(rows, cols))}[adjust]
            o = newton_schulz(matrix(d), ns_steps, eps, coefficients).reshape(g.shape)
            p[i] = p[i] - at(lr, t) * (scale * o + weight_decay * p[i])
    return p


def inverse_fourth_root(x: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(x)
    return vectors @ torch.diag(values**-0.25) @ vectors.T


def shampoo(parameters, gradient, steps, lr: Rate = 1e-1, momentum=0.0, beta2=1.0, eps=1e-4, weight_decay=0.0, frequency=1, largest=4096):
    """Gupta et al., 2018, Algorithm 1, where beta2 is 1. Roots are computed anew at steps 1, 1 + frequency, ..., the gradient included.

    beta2 below 1 forgets. Sides longer than `largest` keep the diagonal of their statistics.
    """
    p, m = start(parameters), zeros([matrix(x) for x in parameters])
    kept = [[torch.ones(n, n) if n <= largest else torch.eye(n) for n in x.shape] for x in m]
    left, right = [torch.zeros_like(k) for k, _ in kept], [torch.zeros_like(k) for _, k in kept]
    a, b = start(left), start(right)
    for t in range(1, steps + 1):
        for i, gradient_i in enumerate(gradient(p, t)):
            g = matrix(gradient_i)
            m[i] = momentum * m[i] + g
            left[i] = beta2 * left[i] + (g @ g.T) * kept[i][0]
            right[i] = beta2 * right[i] + (g.T @ g) * kept[i][1]
            if (t - 1) % frequency == 0:
                a[i] = inverse_fourth_root(left[i] + eps * torch.eye(len(left[i])))
                b[i] = inverse_fourth_root(right[i] + eps * torch.eye(len(right[i])))
            p[i] = p[i] - at(lr, t) * ((a[i] @ m[i] @ b[i]).reshape(p[i].shape) + weight_decay * p[i])
    return p


def eigenbasis(x: Tensor) -> Tensor:
    """Eigenvectors as columns, the largest eigenvalue first."""
    return torch.linalg.eigh(x)[1].flip(1)


def soap(
    parameters,
    gradient,
    steps,
    lr: Rate = 3e-3,
    beta1=0.95,
    beta2=0.95,
    eps=1e-8,
    weight_decay=0.01,
    frequency=10,
    shampoo_beta=None,
    largest=10000,
):
    """Vyas et al., 2024, Algorithm 3, in the authors' code: Adam in the eigenbases of Shampoo, on flattened weights.

    The first step only initializes, k counts from the second, eps joins the uncorrected root, and the bases turn
    after every `frequency` steps by one power iteration, sorted. Not so here: the code has an axis of its own for each
    dimension of a convolution, decays after the move, and in the first step not at all. Longer sides than `largest` stay.
    """
    p, m, v = start(parameters), zeros([matrix(x) for x in parameters]), zeros([matrix(x) for x in parameters])
    left, right, q_left, q_right = ([torch.empty(0)] * len(p) for _ in range(4))
    beta = beta2 if shampoo_beta is None else shampoo_beta
    for t in range(1, steps + 1):
        k = t - 1
        for i, gradient_i in enumerate(gradient(p, t)):
            g = matrix(gradient_i)
            if t == 1:
                left[i], right[i] = (1 - beta) * g @ g.T, (1 - beta) * g.T @ g
                q_left[i], q_right[i] = (eigenbasis(x) if len(x) <= largest else torch.eye(len(x)) for x in (left[i], right[i]))
                p[i] = p[i] - at(lr, t) * weight_decay * p[i]
                continue
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * (q_left[i].T @ g @ q_right[i]) ** 2
            n = (q_left[i].T @ m[i] @ q_right[i]) / (torch.sqrt(v[i]) + eps) * sqrt(1 - beta2**k) / (1 - beta1**k)
            d = (q_left[i] @ n @ q_right[i].T).reshape(p[i].shape)
            p[i] = p[i] - at(lr, t) * (d + weight_decay * p[i])
            left[i] = beta * left[i] + (1 - beta) * g @ g.T
            right[i] = beta * right[i] + (1 - beta) * g.T @ g
            if k % frequency == 0:
                if len(left[i]) <= largest:
                    rows = torch.argsort(torch.diag(q_left[i].T @ left[i] @ q_left[i]), descending=True)
                    v[i], q_left[i] = v[i][rows], torch.linalg.qr(left[i] @ q_left[i][:, rows])[0]
                if len(right[i]) <= largest:
                    cols = torch.argsort(torch.diag(q_right[i].T @ right[i] @ q_right[i]), descending=True)
                    v[i], q_right[i] = v[i][:, cols], torch.linalg.qr(right[i] @ q_right[i][:, cols])[0]
    return p


# The rate found on the way: d is one number for the whole model


def prodigy(
    parameters,
    gradient,
    steps,
    lr: Rate = 1.0,
    beta1=0.9,
    beta2=0.999,
    beta3=None,
    eps=1e-8,
    weight_decay=0.0,
    bias_correction=False,
    safeguard_warmup=False,
    d0=1e-6,
    d_coef=1.0,
    growth_rate=inf,
):
    """Mishchenko & Defazio, 2024, Algorithm 4, in the authors' code: sums weighed by d / d0, and the step is of the old d.

    The estimate d_hat may lift d at once only while d is d0; later d grows to the largest d_hat, by growth_rate at most.
    """
    p, p0, m, v, s = start(parameters), start(parameters), zeros(parameters), zeros(parameters), zeros(parameters)
    d = d_max = d0
    numerator = 0.0
    beta3 = sqrt(beta2) if beta3 is None else beta3
    for t in range(1, steps + 1):
        dlr = d * at(lr, t) * (sqrt(1 - beta2**t) / (1 - beta1**t) if bias_correction else 1)
        grads = gradient(p, t)
        numerator = beta3 * numerator + d / d0 * dlr * total([g * (x0 - x) for g, x0, x in zip(grads, p0, p, strict=True)])
        for i, g in enumerate(grads):
            m[i] = beta1 * m[i] + (1 - beta1) * d * g
            v[i] = beta2 * v[i] + (1 - beta2) * d**2 * g**2
            s[i] = beta3 * s[i] + d / d0 * (d if safeguard_warmup else dlr) * g
        denominator = total([torch.abs(x) for x in s])
        if denominator == 0:
            continue
        d_hat = d_coef * numerator / denominator
        d = max(d, d_hat) if d == d0 else d
        d_max = max(d_max, d_hat)
        d = min(d_max, d * growth_rate)
        for i in range(len(p)):
            p[i] = p[i] - dlr * (m[i] / (torch.sqrt(v[i]) + d * eps) + weight_decay * p[i])
    return p


def dadapt_adam(
    parameters,
    gradient,
    steps,
    lr: Rate = 1.0,
    beta1=0.9,
    beta2=0.999,
    eps=1e-8,
    weight_decay=0.0,
    bias_correction=False,
    d0=1e-6,
    growth_rate=inf,
):
    """Defazio & Mishchenko, 2023, Algorithm 5, in the authors' code (version 3): the rate is inside m and s, s averages with sqrt(beta2).

    The numerator takes s and v of the step before. Decay is decoupled, by the old d.
    """
    p, m, v, s = start(parameters), zeros(parameters), zeros(parameters), zeros(parameters)
    d, numerator, root = d0, 0.0, sqrt(beta2)
    for t in range(1, steps + 1):
        dlr = d * at(lr, t) * (sqrt(1 - beta2**t) / (1 - beta1**t) if bias_correction else 1)
        share, l1 = 0.0, 0.0
        for i, g in enumerate(gradient(p, t)):
            share += dlr * (g * s[i] / (torch.sqrt(v[i]) + eps)).sum().item()
            m[i] = beta1 * m[i] + (1 - beta1) * dlr * g
            v[i] = beta2 * v[i] + (1 - beta2) * g**2
            s[i] = root * s[i] + (1 - root) * dlr * g
            l1 += torch.abs(s[i]).sum().item()
        if l1 == 0:
            continue
        numerator = root * numerator + (1 - root) * share
        d_hat = numerator / ((1 - root) * l1)
        d = max(d, min(d_hat, d * growth_rate))
        for i in range(len(p)):
            p[i] = p[i] - m[i] / (torch.sqrt(v[i]) + eps) - dlr * weight_decay * p[i]
    return p


# Averages: the second result is the view


def schedule_free_sgd(
    parameters, gradient, steps, lr: Rate = 1.0, momentum=0.9, weight_decay=0.0, warmup_steps=0, r=0.0, weight_lr_power=2.0
):
    """Defazio et al., 2024: gradients and decay at y, steps on z, the average x is the view. Weights as in the authors' code."""
    x, y, z = start(parameters), start(parameters), start(parameters)
    lr_max, weight_sum = -1.0, 0.0
    for t in range(1, steps + 1):
        rate = at(lr, t) * min(t / warmup_steps, 1.0) if warmup_steps else at(lr, t)
        lr_max = max(lr_max, rate)
        weight = t**r * lr_max**weight_lr_power
        weight_sum += weight
        c = weight / weight_sum if weight_sum else 0.0
        for i, g in enumerate(gradient(y, t)):
            z[i] = z[i] - rate * (g + weight_decay * y[i])
            x[i] = (1 - c) * x[i] + c * z[i]
            y[i] = (1 - momentum) * z[i] + momentum * x[i]
    return y, x


def schedule_free_adamw(
    parameters,
    gradient,
    steps,
    lr: Rate = 0.0025,
    beta1=0.9,
    beta2=0.999,
    eps=1e-8,
    weight_decay=0.0,
    warmup_steps=0,
    r=0.0,
    weight_lr_power=2.0,
):
    """Defazio et al., 2024, Algorithm 1, but v is bias-corrected itself and not through the rate, as in the authors' code."""
    x, y, z, v = start(parameters), start(parameters), start(parameters), zeros(parameters)
    lr_max, weight_sum = -1.0, 0.0
    for t in range(1, steps + 1):
        rate = at(lr, t) * min(t / warmup_steps, 1.0) if warmup_steps else at(lr, t)
        lr_max = max(lr_max, rate)
        weight = t**r * lr_max**weight_lr_power
        weight_sum += weight
        c = weight / weight_sum if weight_sum else 0.0
        for i, g in enumerate(gradient(y, t)):
            v[i] = beta2 * v[i] + (1 - beta2) * g**2
            d = g / (torch.sqrt(v[i] / (1 - beta2**t)) + eps)
            z[i] = z[i] - rate * (d + weight_decay * y[i])
            x[i] = (1 - c) * x[i] + c * z[i]
            y[i] = (1 - beta1) * z[i] + beta1 * x[i]
    return y, x


def lookahead_momentum(parameters, gradient, steps, lr: Rate = 1e-3, momentum=0.9, weight_decay=0.0, k=5, alpha=0.5):
    """Zhang et al., 2019, Algorithm 1, around the heavy ball, whose velocity stays as it is. The slow weights are the view."""
    p, slow, v = start(parameters), start(parameters), zeros(parameters)
    for t in range(1, steps + 1):
        for i, g in enumerate(gradient(p, t)):
            v[i] = momentum * v[i] + g
            p[i] = p[i] - at(lr, t) * (v[i] + weight_decay * p[i])
            if t % k == 0:
                slow[i] = slow[i] + alpha * (p[i] - slow[i])
                p[i] = slow[i]
    return p, slow


def ema_sgd(parameters, gradient, steps, lr: Rate = 1e-3, weight_decay=0.0, decay=0.999, debias=False):
    """The exponential average of the iterates; it starts as a copy of the first, or from 0 with Adam's bias correction."""
    p, average = start(parameters), zeros(parameters)
    for t in range(1, steps + 1):
        for i, g in enumerate(gradient(p, t)):
            p[i] = p[i] - at(lr, t) * (g + weight_decay * p[i])
            average[i] = p[i] if t == 1 and not debias else decay * average[i] + (1 - decay) * p[i]
    return p, [a / (1 - decay**steps) for a in average] if debias else average


def swa_sgd(parameters, gradient, steps, lr: Rate = 1e-3, weight_decay=0.0, start_step=1, every=1):
    """Izmailov et al., 2018, Algorithm 1: the plain mean of the weights after steps start, start + every, ...; before, p itself."""
    p, average, n = start(parameters), start(parameters), 0
    for t in range(1, steps + 1):
        for i, g in enumerate(gradient(p, t)):
            p[i] = p[i] - at(lr, t) * (g + weight_decay * p[i])
        if t >= start_step and (t - start_step) % every == 0:
            average = [(a * n + x) / (n + 1) for a, x in zip(average, p, strict=True)]
            n += 1
    return p, average if n else p


# Around a direction


def cautious_adamw(parameters, gradient, steps, lr: Rate = 1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
    """Liang et al., 2024, around torch's AdamW (the authors' own adds eps to the uncorrected root). Decay is not masked.

    A parameter's mask is divided by (ones + 1) / size as in the paper (the authors' code: by its mean, 1e-3 at least).
    """
    p, m, v = start(parameters), zeros(parameters), zeros(parameters)
    for t in range(1, steps + 1):
        for i, g in enumerate(gradient(p, t)):
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g**2
            d = m[i] / (1 - beta1**t) / (torch.sqrt(v[i] / (1 - beta2**t)) + eps)
            mask = (d * g > 0).to(d.dtype)
            d = d * mask * mask.numel() / (mask.sum() + 1)
            p[i] = p[i] - at(lr, t) * (d + weight_decay * p[i])
    return p


# Around a gradient


def clip_value(gradient: Gradient, limit: float) -> Gradient:
    def clipped(p: Tensors, t: int) -> Tensors:
        return [torch.clamp(g, -limit, limit) for g in gradient(p, t)]

    return clipped


def clip_norm(gradient: Gradient, max_norm: float) -> Gradient:
    """Each parameter's own norm (Keras: clipnorm), without an eps."""

    def clipped(p: Tensors, t: int) -> Tensors:
        return [g * max_norm / max(torch.norm(g).item(), max_norm) for g in gradient(p, t)]

    return clipped


def clip_global_norm(gradient: Gradient, max_norm: float) -> Gradient:
    """Pascanu et al., 2013, as torch.nn.utils.clip_grad_norm_."""

    def clipped(p: Tensors, t: int) -> Tensors:
        grads = gradient(p, t)
        norm = sqrt(total([g**2 for g in grads]))
        return [g * min(max_norm / (norm + 1e-6), 1.0) for g in grads]

    return clipped


def unit_norm(x: Tensor) -> Tensor:
    """Of every output row; of the whole where there are no rows."""
    return torch.sqrt((x**2).sum(dim=tuple(range(1, x.ndim)), keepdim=True)) if x.ndim > 1 else torch.norm(x)


def clip_adaptive(gradient: Gradient, clip: float = 0.01, eps: float = 1e-3) -> Gradient:
    """Brock et al., 2021, Eq. 3; vectors as a whole, as in the authors' code (the paper would take each entry as a unit)."""

    def clipped(p: Tensors, t: int) -> Tensors:
        most = [torch.clamp(unit_norm(x), min=eps) * clip for x in p]
        grads = [(g, unit_norm(g)) for g in gradient(p, t)]
        return [torch.where(n > most, g * most / torch.clamp(n, min=1e-6), g) for (g, n), most in zip(grads, most, strict=True)]

    return clipped


def centralize(gradient: Gradient) -> Gradient:
    """Yong et al., 2020, Eq. 1: of every output row of a matrix or a kernel; vectors stay."""

    def centralized(p: Tensors, t: int) -> Tensors:
        return [g - g.mean(dim=tuple(range(1, g.ndim)), keepdim=True) if g.ndim > 1 else g for g in gradient(p, t)]

    return centralized


def coupled_l1(gradient: Gradient, strength: float) -> Gradient:
    """The gradient of the loss plus strength ||p||_1; 0 at 0."""

    def penalized(p: Tensors, t: int) -> Tensors:
        return [g + strength * torch.sign(x) for g, x in zip(gradient(p, t), p, strict=True)]

    return penalized


def coupled_l2(gradient: Gradient, strength: float) -> Gradient:
    """The gradient of the loss plus strength / 2 ||p||^2: torch's weight_decay."""

    def penalized(p: Tensors, t: int) -> Tensors:
        return [g + strength * x for g, x in zip(gradient(p, t), p, strict=True)]

    return penalized


def sam(gradient: Gradient, rho: float = 0.05, adaptive: bool = False, eps: float = 1e-12) -> Gradient:
    """Foret et al., 2021, Algorithm 1; adaptive: Kwon et al., 2021, with |p| alone (eta = 0), one norm over the model."""

    def sharp(p: Tensors, t: int) -> Tensors:
        grads = gradient(p, t)
        scales = [torch.abs(x) if adaptive else torch.ones_like(x) for x in p]
        norm = sqrt(total([(s * g) ** 2 for s, g in zip(scales, grads, strict=True)]))
        return gradient([x + rho * s**2 * g / (norm + eps) for x, s, g in zip(p, scales, grads, strict=True)], t)

    return sharp
