"""Python expressions as mathematics: Greek letters, exponents, products without a sign, and no more parentheses than needed."""

import ast
from typing import Protocol

LETTERS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "eps": "ε", "eta": "η", "lambd": "λ", "weight_decay": "λ", "mu": "μ", "mu_next": "μ_next",
    "mu_product": "μ_product", "phi": "φ", "rho": "ρ", "rho_inf": "ρ∞", "eta_minus": "η₋", "eta_plus": "η₊", "change": "Δ", "inf": "∞",
}  # fmt: skip
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
SUPERSCRIPTS = {"t": "ᵗ", "s": "ˢ", "k": "ᵏ", "n": "ⁿ", "r": "ʳ", "2": "²", "3": "³"}
HAT = "\u0302"

# How tightly a text holds together; looser parts of a tighter whole need parentheses.
CHOICE, LOGIC, COMPARISON, SUM, PRODUCT, POWER, ATOM = range(7)
Text = tuple[str, int]

COMPARISONS = {ast.Lt: "<", ast.LtE: "≤", ast.Gt: ">", ast.GtE: "≥", ast.Eq: "=", ast.NotEq: "≠", ast.In: "in", ast.NotIn: "not in"}
WORDS = {"minimum": "min", "maximum": "max"}
OVER = {"tensor": "", "unit": "_unit", "model": "_model"}


class Names(Protocol):
    """What an expression asks of the place it stands in."""

    def name(self, name: str) -> Text: ...
    def attribute(self, node: ast.Attribute) -> Text | None: ...
    def call(self, node: ast.Call, show: "Show") -> Text | None: ...
    def hat(self, average: ast.expr, whole: Text) -> Text: ...


def symbol(name: str) -> str:
    """`beta1` as β₁, `m_hat` as m̂; other names as they are."""
    if name in LETTERS:
        return LETTERS[name]
    if name.endswith("_hat"):
        return symbol(name.removesuffix("_hat")) + HAT
    stem = name.rstrip("0123456789")
    return LETTERS.get(stem, stem) + name[len(stem) :].translate(SUBSCRIPTS) if len(stem) == 1 or stem in LETTERS else name


def number(x: float) -> str:
    """0.0001 as 1e-4, inf as ∞."""
    if 0 < abs(x) < 1e-3:
        mantissa, exponent = f"{x:e}".split("e")
        text = f"{float(mantissa):g}e{int(exponent)}"
    else:
        text = f"{x:g}".replace("e+0", "e").replace("inf", "∞")
    return f"−{text[1:]}" if text.startswith("-") else text


class Show:
    """Turns the nodes of expressions into text, asking `names` for what is not mathematics."""

    def __init__(self, names: Names) -> None:
        self.names = names

    def __call__(self, node: ast.expr, least: int = CHOICE) -> str:
        text, strength = self.text(node)
        return text if strength >= least else f"({text})"

    def text(self, node: ast.expr) -> Text:
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        return method(node) if method else (ast.unparse(node), ATOM)

    def arguments(self, nodes: list[ast.expr]) -> str:
        return ", ".join(map(self, nodes))

    # --- leaves -----------------------------------------------------------------------------------

    def _name(self, node: ast.Name) -> Text:
        return self.names.name(node.id)

    def _constant(self, node: ast.Constant) -> Text:
        value = node.value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return number(value), ATOM
        return f'"{value}"' if isinstance(value, str) else str(value), ATOM

    def _attribute(self, node: ast.Attribute) -> Text:
        if node.attr == "mT":
            return self(node.value, ATOM) + "ᵀ", ATOM
        return self.names.attribute(node) or (f"{self(node.value, ATOM)}.{node.attr}", ATOM)

    def _subscript(self, node: ast.Subscript) -> Text:
        return f"{self(node.value, ATOM)}[{ast.unparse(node.slice)}]", ATOM

    def _tuple(self, node: ast.Tuple) -> Text:
        return f"({self.arguments(node.elts)})", ATOM

    # --- operators --------------------------------------------------------------------------------

    def _ifexp(self, node: ast.IfExp) -> Text:
        return f"{self(node.body, LOGIC)} if {self(node.test, LOGIC)} else {self(node.orelse, LOGIC)}", CHOICE

    def _boolop(self, node: ast.BoolOp) -> Text:
        return (" and " if isinstance(node.op, ast.And) else " or ").join(self(x, COMPARISON) for x in node.values), LOGIC

    def _compare(self, node: ast.Compare) -> Text:
        sides = [f"{COMPARISONS[type(op)]} {self(right, SUM)}" for op, right in zip(node.ops, node.comparators, strict=True)]
        return " ".join([self(node.left, SUM), *sides]), COMPARISON

    def _unaryop(self, node: ast.UnaryOp) -> Text:
        if isinstance(node.op, ast.Not):
            return f"not {self(node.operand, COMPARISON)}", LOGIC
        return f"−{self(node.operand, PRODUCT)}", SUM

    def _binop(self, node: ast.BinOp) -> Text:
        left, right, op = node.left, node.right, node.op
        if isinstance(op, (ast.Add, ast.Sub)):
            return f"{self(left, SUM)} {'+' if isinstance(op, ast.Add) else '−'} {self(right, PRODUCT)}", SUM
        if isinstance(op, ast.Mult):
            return self._product(node)
        if isinstance(op, ast.Div):
            # A minus in front may stand outside: −m / d.
            strength = SUM if _negative(left) else PRODUCT
            return f"{self(left, strength)} / {self(right, POWER)}", strength
        if isinstance(op, ast.MatMult):
            return f"{self(left, POWER if _is(left, ast.Mult, ast.Div) else PRODUCT)} · {self(right, POWER)}", PRODUCT
        if isinstance(op, ast.Pow):
            return self.power(self(left, ATOM), right)
        if isinstance(op, ast.Mod):
            return f"{self(left, POWER)} mod {self(right, POWER)}", PRODUCT
        return f"{self(left, COMPARISON)} {'and' if isinstance(op, ast.BitAnd) else 'or'} {self(right, COMPARISON)}", LOGIC

    def power(self, base: str, exponent: ast.expr) -> Text:
        text = self(exponent, ATOM)
        if text == "0.5":
            return f"√{base}", POWER
        return base + (SUPERSCRIPTS.get(text) or f"^{text}"), POWER

    def _product(self, node: ast.expr) -> Text:
        factors = _factors(node)
        texts: list[str] = []
        while factors:
            first, n = factors[0], 1
            while n < len(factors) and ast.dump(factors[n]) == ast.dump(first):
                n += 1
            del factors[:n]
            leading = not texts and isinstance(first, ast.UnaryOp)
            loose = SUM if leading else POWER if _is(first, ast.Div, ast.MatMult) else PRODUCT
            texts.append(self(first, loose) if n == 1 else self.power(self(first, ATOM), ast.Constant(n))[0])
        whole = texts[0]
        for text in texts[1:]:
            whole += f" × {text}" if text[0].isdigit() else f" {text}"
        return whole, SUM if whole.startswith("−") else PRODUCT

    # --- functions --------------------------------------------------------------------------------

    def _call(self, node: ast.Call) -> Text:
        own = self.names.call(node, self)
        if own:
            return own
        if isinstance(node.func, ast.Attribute):
            return self._method(node, node.func)
        name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
        if known := getattr(self, f"_maths_{name}", None):
            return known(*node.args, **{k.arg: k.value for k in node.keywords if k.arg})
        return f"{WORDS.get(name, symbol(name))}({self.arguments(node.args)})", ATOM

    def _method(self, node: ast.Call, func: ast.Attribute) -> Text:
        owner = ast.unparse(func.value)
        if owner.startswith("torch"):
            return f"{func.attr}({self.arguments(node.args)})", ATOM
        if func.attr in ("to", "unsqueeze"):  # dtype and shape: not mathematics
            return self.text(func.value)
        if func.attr == "dot":
            return f"⟨{self(func.value)}, {self(node.args[0])}⟩", ATOM
        if func.attr == "sum":
            return self._sum(self.text(func.value), "_rows" if node.args else "")
        if func.attr == "mean":
            return f"mean{'_row' if ast.unparse(node.args[0]) == '-1' else '_column'}({self(func.value)})", ATOM
        if func.attr == "clamp":
            return f"max({self(func.value)}, {self(node.keywords[0].value)})", ATOM
        return f"{func.attr}({self.arguments([func.value, *node.args])})", ATOM

    def _sum(self, x: Text, over: str) -> Text:
        text = x[0] if x[0].startswith("|") and x[0].count("|") == 2 and x[0].endswith("|") else f"({x[0]})"
        return f"Σ{over}{text}", POWER

    def _maths_lerp(self, a: ast.expr, b: ast.expr, weight: ast.expr) -> Text:
        if isinstance(weight, ast.BinOp) and isinstance(weight.op, ast.Sub) and ast.unparse(weight.left) == "1":
            return self.text(_sum(_times(weight.right, a), _times(weight, b)))
        return self.text(_sum(a, _times(weight, ast.BinOp(b, ast.Sub(), a))))

    def _maths_debias(self, average: ast.expr, beta: ast.expr, t: ast.expr) -> Text:
        corrected = ast.BinOp(average, ast.Div(), ast.BinOp(ast.Constant(1), ast.Sub(), ast.BinOp(beta, ast.Pow(), t)))
        return self.names.hat(average, self.text(corrected))

    def _maths_zeros_like(self, p: ast.expr) -> Text:
        return "0", ATOM

    def _maths_sqrt(self, x: ast.expr) -> Text:
        text, strength = self.text(x)
        return (f"√{text}" if strength == ATOM else f"√({text})"), POWER

    def _maths_square(self, x: ast.expr) -> Text:
        return self.power(self(x, ATOM), ast.Constant(2))

    def _maths_abs(self, x: ast.expr) -> Text:
        return f"|{self(x)}|", ATOM

    def _maths_where(self, condition: ast.expr, a: ast.expr, b: ast.expr) -> Text:
        return self._ifexp(ast.IfExp(condition, a, b))

    def _maths_norm(self, x: ast.expr, over: ast.expr, name: ast.expr | None = None) -> Text:
        return f"‖{self(x)}‖{OVER[ast.literal_eval(over)]}", ATOM

    def _maths_total(self, x: ast.expr, over: ast.expr, name: ast.expr | None = None) -> Text:
        return self._sum(self.text(x), OVER[ast.literal_eval(over)])

    def _maths_mean(self, x: ast.expr, over: ast.expr) -> Text:
        return f"mean{OVER[ast.literal_eval(over)]}({self(x)})", ATOM

    def _maths_size(self, x: ast.expr, over: ast.expr) -> Text:
        return f"size{OVER[ast.literal_eval(over)]}({self(x)})", ATOM


def _is(node: ast.expr, *operators: type[ast.operator]) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, operators)


def _negative(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) or (_is(node, ast.Mult, ast.Div) and _negative(node.left))  # type: ignore[attr-defined]


def _factors(node: ast.expr) -> list[ast.expr]:
    return [*_factors(node.left), *_factors(node.right)] if _is(node, ast.Mult) else [node]  # type: ignore[attr-defined]


def _times(a: ast.expr, b: ast.expr) -> ast.expr:
    return ast.BinOp(a, ast.Mult(), b)


def _sum(a: ast.expr, b: ast.expr) -> ast.expr:
    return ast.BinOp(a, ast.Add(), b)
