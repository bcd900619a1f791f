"""What PyTorch spells differently, and the helper functions that written code may need."""

from __future__ import annotations

from backproof.engine.expressions import COMPARISON, RULES, Dialect, Rule, Text, paddings, plain
from backproof.operators.node import Node


def _choice(name: str, bound: str) -> Rule:
    """maximum and minimum take two tensors; with a number it is a clamp."""

    def rule(d: Dialect, node: Node, a: list[Text]) -> str:
        for one, other in ((0, 1), (1, 0)):
            if node.args[one].fill is not None:
                return f"torch.clamp({a[other]}, {bound}={a[one]})"
        return f"torch.{name}({a[0]}, {a[1]})"

    return rule


def _embed(d: Dialect, node: Node, a: list[Text]) -> str:
    widths = ", ".join(f"{b}, {e}" for b, e in reversed(paddings(d, node)))
    return f"torch.nn.functional.pad({d.array(node.args[0], a[0], COMPARISON)}, ({widths}))"


def _literal(d: Dialect, node: Node, a: list[Text]) -> str:
    written = RULES["literal"](d, node, a)
    return str(written).replace("torch.array", "torch.tensor")


def _function(name: str) -> Rule:
    """A function of a size is a function of a plain number, which torch does not take."""

    def rule(d: Dialect, node: Node, a: list[Text]) -> str:
        if plain(node):
            return f"{'abs' if name == 'abs' else f'math.{name}'}({a[0]})"
        return f"torch.{name}({a[0]})"

    return rule


def _product(d: Dialect, node: Node, a: list[Text]) -> Text | str:
    """Truth values times a plain number would be of torch's default kind, float32."""
    if any(plain(n) for n in node.args):
        a = [d.numeric(x) for x in a]
    return RULES["mul"](d, node, a)


TORCH_RULES: dict[str, Rule] = {
    **RULES,
    "mul": _product,
    "constant": lambda d, node, a: "math.pi",
    "maximum": _choice("maximum", "min"),
    "minimum": _choice("minimum", "max"),
    "embed": _embed,
    "literal": _literal,
    **{name: _function(name) for name in ("sqrt", "log", "exp", "sin", "cos", "tanh", "abs")},
}


HELPERS: dict[str, dict[str, str]] = {
    "np": {
        "sigmoid": (
            "def sigmoid(z):\n"
            "    return np.exp(-np.logaddexp(0, -z))  # 1/(1 + exp(-z)), without overflow\n"
        ),
        "softplus": (
            "def softplus(z):\n    return np.logaddexp(0, z)  # log(1 + exp(z)), without overflow\n"
        ),
        "relu": "def relu(z):\n    return np.maximum(z, 0)\n",
        "erf": "erf = np.vectorize(math.erf, otypes=[float])\n",
        "softmax": (
            "def softmax(z, axis):\n"
            "    e = np.exp(z - np.max(z, axis=axis, keepdims=True))\n"
            "    return e / np.sum(e, axis=axis, keepdims=True)\n"
        ),
        "logsumexp": (
            "def logsumexp(z, axis):\n"
            "    top = np.max(z, axis=axis, keepdims=True)\n"
            "    return top + np.log(np.sum(np.exp(z - top), axis=axis, keepdims=True))\n"
        ),
    },
    "jnp": {
        "sigmoid": "sigmoid = jax.nn.sigmoid\n",
        "softplus": "softplus = jax.nn.softplus\n",
        "relu": "relu = jax.nn.relu\n",
        "erf": "erf = jax.scipy.special.erf\n",
        "softmax": "softmax = jax.nn.softmax\n",
        "logsumexp": (
            "def logsumexp(z, axis):\n"
            "    return jax.scipy.special.logsumexp(z, axis=axis, keepdims=True)\n"
        ),
    },
    "torch": {
        "sigmoid": "sigmoid = torch.sigmoid\n",
        "softplus": (
            "def softplus(z):\n"
            "    return torch.logaddexp(z, torch.zeros_like(z))  # log(1 + exp(z))\n"
        ),
        "relu": "relu = torch.relu\n",
        "erf": "erf = torch.erf\n",
        "softmax": "def softmax(z, axis):\n    return torch.softmax(z, dim=axis)\n",
        "logsumexp": (
            "def logsumexp(z, axis):\n    return torch.logsumexp(z, dim=axis, keepdim=True)\n"
        ),
    },
}
