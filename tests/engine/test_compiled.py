"""The compiled function: arguments, shapes, results, engines and what they say."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest
from tests.engine.common import SIAMESE, model_of, point_of, same

from backproof import Sheet
from backproof.engine import compiled
from backproof.engine.compiled import compile_gradient
from backproof.engine.expressions import RULES
from backproof.engine.jax_engine import JAX_RULES
from backproof.engine.numba_rules import BLOCKS, ENTRIES, REDUCTIONS, UNSUPPORTED
from backproof.engine.numpy_engine import NUMPY_RULES
from backproof.engine.torch_rules import TORCH_RULES
from backproof.errors import (
    BackproofError,
    MissingExtra,
    NameProblem,
    NotAvailable,
    ShapeProblem,
    ValueProblem,
)
from backproof.operators.table import TABLE


def arrays(flat: bool = False) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    column = (lambda n: (n,)) if flat else (lambda n: (n, 1))
    return {
        "xA": rng.normal(size=column(4)), "xB": rng.normal(size=column(4)), "y": 1.0,
        "W1": rng.normal(size=(3, 4)), "b1": rng.normal(size=column(3)),
        "W2": rng.normal(size=(1, 3)), "b2": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize("rules", [RULES, NUMPY_RULES, JAX_RULES, TORCH_RULES])
def test_every_operator_can_be_written(rules: dict[str, Any]) -> None:
    assert set(TABLE) <= set(rules)


def test_every_operator_has_loops_or_is_known_to_have_none() -> None:
    known = {*ENTRIES, *REDUCTIONS, *BLOCKS, *UNSUPPORTED, "name"}
    assert set(TABLE) <= known


@pytest.mark.parametrize("flat", [False, True])
def test_gradients_come_in_the_shape_that_was_passed(flat: bool) -> None:
    s = Sheet(SIAMESE)
    f = s.compile("L", engine="numpy")
    given = arrays(flat)
    value, gradients = f(**given)
    assert isinstance(value, float)
    for name, g in gradients.items():
        assert np.shape(g) == np.shape(given[name])
    assert f(**{**given, "W2": given["W2"].tolist(), "y": 1})[0] == pytest.approx(value)
    assert f(*given.values())[0] == pytest.approx(value)
    assert set(s.compile("L", wrt="W1", engine="numpy")(**given)[1]) == {"W1"}


def test_results_are_fresh_unless_reuse_is_asked_for() -> None:
    f = compile_gradient(model_of(SIAMESE), "L", engine="numpy")
    given = arrays()
    _, first = f(**given)
    kept = {n: np.copy(g) for n, g in first.items()}
    f(**{**given, "xA": given["xA"] * 2})
    for name, g in first.items():
        np.testing.assert_array_equal(g, kept[name])
    again = compile_gradient(model_of(SIAMESE), "L", engine="numpy", reuse=True)
    _, one = again(**given)
    _, two = again(**{**given, "xA": given["xA"] * 2})
    assert one["W1"] is two["W1"]


def test_arguments_are_never_written_to() -> None:
    f = compile_gradient(model_of(SIAMESE), "L", engine="numpy")
    given = arrays()
    for a in given.values():
        if isinstance(a, np.ndarray):
            a.flags.writeable = False
    f(**given)


def test_other_shapes_compile_anew_and_symbolic_sizes_are_found() -> None:
    f = compile_gradient(
        model_of("given X in R[N, d + 1]\nlearn w in R[d + 1]\nL = sumsq(X @ w)/N"), "L",
        engine="numpy",
    )  # fmt: skip
    for n, d in ((3, 4), (7, 2), (1, 2)):
        X, w = np.ones((n, d)), np.ones(d)
        value, gradients = f(X=X, w=w)
        assert value == pytest.approx(d * d)
        np.testing.assert_allclose(gradients["w"], np.full(d, 2.0 * d))


def test_values_of_the_sheet_are_defaults() -> None:
    f = Sheet("given x = [1, 2]\nlearn w in R[2]\nL = w.T @ x").compile(engine="numpy")
    value, gradients = f(w=np.array([3.0, 4.0]))
    assert value == 11.0
    np.testing.assert_array_equal(gradients["w"], [1.0, 2.0])


def test_names_that_are_words_of_python() -> None:
    f = Sheet(
        "given x, lambda in R\nlearn print in R, np in R\nL = lambda*(print*x + np)**2"
    ).compile(engine="numpy")
    value, gradients = f(**{"x": 1.0, "lambda": 2.0, "print": 1.0, "np": 2.0})
    assert value == 18.0
    assert gradients == {"print": 12.0, "np": 12.0}


def test_an_intermediate_name_may_be_derived_by() -> None:
    f = Sheet(SIAMESE).compile("L", wrt=["z2", "W2"], engine="numpy")
    _, gradients = f(**arrays())
    assert set(gradients) == {"z2", "W2"}


# --- what is told -----------------------------------------------------------------------------


def test_a_wrong_shape_names_the_argument() -> None:
    f = compile_gradient(model_of(SIAMESE), "L", engine="numpy")
    with pytest.raises(ShapeProblem, match=r"XA has shape|xA has shape \(5,\)"):
        f(**{**arrays(), "xA": np.zeros(5)})
    with pytest.raises(ShapeProblem) as told:
        f(**{**arrays(), "W1": np.zeros((4, 3))})
    assert "W1 has shape (4, 3), and the sheet says (3, 4)." in str(told.value)
    assert "W1.T has the shape that fits" in str(told.value)


def test_sizes_that_do_not_agree_name_the_size() -> None:
    f = compile_gradient(
        model_of("given X in R[N, d]\ngiven y in R[N]\nlearn w in R[d]\nL = sse(X @ w, y)"), "L",
        engine="numpy",
    )  # fmt: skip
    with pytest.raises(ShapeProblem, match=r"y has shape .*where N is 3"):
        f(X=np.ones((3, 2)), y=np.ones(4), w=np.ones(2))


def test_missing_unknown_and_wrong_arguments() -> None:
    f = compile_gradient(model_of(SIAMESE), "L", engine="numpy")
    given = arrays()
    with pytest.raises(BackproofError, match="'W9' is not an argument"):
        f(**given, W9=1)
    del given["b2"]
    with pytest.raises(BackproofError, match=r"[bB]2 is missing"):
        f(**given)
    with pytest.raises(ValueProblem, match="must be an array of numbers"):
        f(**given, b2="five")


def test_an_unknown_name_and_engine() -> None:
    s = Sheet(SIAMESE)
    with pytest.raises(NameProblem, match="The sheet has no 'W11'") as told:
        s.compile("L", wrt=["W11"])
    assert "did you mean W1?" in str(told.value)
    with pytest.raises(BackproofError, match="There is no engine 'torch'"):
        s.compile("L", engine="torch")
    with pytest.raises(BackproofError, match="float64 or float32"):
        s.compile("L", dtype="int8")
    with pytest.raises(ShapeProblem, match=r"[oO]nly a number has gradients"):
        s.compile("a1")


@pytest.mark.parametrize("library", ["jax", "numba"])
def test_a_missing_library_is_told_with_its_install_command(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any, **options: Any) -> Any:
        if name.split(".")[0] == library:
            raise ImportError(name)
        return real(name, *more, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra) as told:
        compile_gradient(model_of(SIAMESE), "L", engine=library)
    assert f'pip install "backproof[{library}]"' in str(told.value)


def test_auto_says_what_it_picked_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "installed", lambda library: False)
    f = compile_gradient(model_of(SIAMESE), "L")
    f(**arrays())
    assert f.engine == "numpy"
    assert "numba, which is faster at this size, is not installed" in f.why
    assert "numpy" in repr(f)


def test_an_operator_without_loops_is_named() -> None:
    pytest.importorskip("numba")
    f = compile_gradient(model_of("learn A in R[3, 3]\nL = logdet(A)"), "L", engine="numba")
    with pytest.raises(NotAvailable, match=r"'(logdet|inv)'"):
        f(A=np.eye(3))


@pytest.mark.parametrize("count", [1, 50, 5000])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_sums_of_few_and_of_many_numbers(count: int, dtype: str) -> None:
    """Down columns, along rows, and of everything."""
    text = (
        f"given X in R[{count}, 3], Z in R[3, {count}]\nlearn b in R[1, 3], c in R[3]\n"
        f"L = sumsq(X + b) + sumsq(Z + c @ ones(1, {count})) + sum(exp(0.1*X))"
    )
    rng = np.random.default_rng(0)
    X, Z = rng.normal(size=(count, 3)).astype(dtype), rng.normal(size=(3, count)).astype(dtype)
    b, c = rng.normal(size=(1, 3)).astype(dtype), rng.normal(size=3).astype(dtype)
    f = compile_gradient(model_of(text), "L", engine="numpy", dtype=dtype)
    value, gradients = f(X=X, Z=Z, b=b, c=c)
    x, z = X.astype(float) + b, Z.astype(float) + c[:, None]
    tight = 1e-12 if dtype == "float64" else 1e-5
    want = (x**2).sum() + (z**2).sum() + np.exp(0.1 * X.astype(float)).sum()
    assert value == pytest.approx(want, rel=tight)
    np.testing.assert_allclose(gradients["b"], 2 * x.sum(0)[None], rtol=tight, atol=tight * count)
    np.testing.assert_allclose(gradients["c"], 2 * z.sum(1), rtol=tight, atol=tight * count)


def test_a_gradient_that_is_a_number_has_a_buffer_too() -> None:
    text = "given x in R[3]\nlearn a in R, b in R\nL = a*sum(x) + b*a"
    f = compile_gradient(model_of(text), "L", engine="numpy", reuse=True)
    x, a, b = np.array([1.0, 2.0, 4.0]), np.full((1, 1), 3.0), np.full((1, 1), 5.0)
    _, gradients = f(x=x, a=a, b=b)
    assert gradients["a"].shape == (1, 1) and gradients["a"].item() == 12
    assert gradients["b"].item() == 3


NO_NUMBERS: list[Any] = [
    np.array([1 + 1j, 2, 3, 4]),
    ["1", "2", "3", "4"],
    np.array(["a", "b", "c", "d"]),
    np.array([1, 2, 3, 4], "M8[s]"),
    np.ma.array([1.0, 2, 3, 4], mask=[0, 1, 0, 0]),
    [[1], [2, 3], 4, 5],
    [10**400, 1, 1, 1],
]


@pytest.mark.parametrize("engine", ["numpy", "jax", "numba"])
@pytest.mark.parametrize("after", ["a float array", "a list"])
def test_what_holds_no_numbers_is_told_whatever_was_passed_before(engine: str, after: str) -> None:
    if engine != "numpy":
        pytest.importorskip(engine)
    f = compile_gradient(
        model_of("given x in R[4]\nlearn w in R[4]\nL = x.T @ w"), "L", engine=engine
    )
    w = np.array([1.0, -2.0, 0.5, 3.0])
    f(x=np.ones(4) if after == "a float array" else np.ones(4, "f2"), w=w)
    for value in NO_NUMBERS:
        if engine == "numba" and isinstance(value, np.ma.MaskedArray) and after != "a list":
            continue  # loops made for float arrays take one for the array it is
        with pytest.raises(ValueProblem, match=r"^x (must be an array of numbers|has masked)"):
            f(x=value, w=w)


@pytest.mark.parametrize("engine", ["numpy", "jax", "numba"])
def test_arrays_however_they_lie_in_memory(engine: str) -> None:
    if engine != "numpy":
        pytest.importorskip(engine)
    x = np.array([2.0, 3.0, 5.0, 7.0])
    fixed = x.copy()
    fixed.flags.writeable = False
    ways = [
        fixed, np.array([2.0, 0, 3, 0, 5, 0, 7, 0])[::2], x[::-1].copy()[::-1], x.astype(">f8"),
        np.ma.array(x), x.astype(np.longdouble), x.astype("f2"), x.astype(int),
    ]  # fmt: skip
    w = np.array([1.0, -2.0, 0.5, 3.0])  # 2 - 6 + 2.5 + 21
    for way in ways:
        f = compile_gradient(
            model_of("given x in R[4]\nlearn w in R[4]\nL = x.T @ w"), "L", engine=engine
        )
        for _ in range(2):
            value, gradients = f(x=way, w=w)
            assert float(value) == 19.5
            assert np.asarray(gradients["w"]).tolist() == [2, 3, 5, 7]


def test_jax_gives_numpy_for_numpy_whatever_was_passed_before() -> None:
    import jax

    f = compile_gradient(model_of(SIAMESE), "L", engine="jax")
    model = f.program
    rng = np.random.default_rng(0)
    shapes = {"xA": (4,), "xB": (4,), "W1": (3, 4), "b1": (3,), "W2": (1, 3)}
    ours = {n: rng.normal(size=s) for n, s in shapes.items()} | {"y": 1.0, "b2": 0.1}
    assert set(model.inputs) == set(ours)
    with jax.enable_x64(True):
        theirs = {n: jax.numpy.asarray(a) for n, a in ours.items()}
    want, gradients = compile_gradient(model_of(SIAMESE), "L", engine="numpy")(**ours)
    for arrays, kind in ((theirs, jax.Array), (ours, np.ndarray), (theirs, jax.Array)):
        value, found = f(**arrays)
        assert float(value) == pytest.approx(float(want), rel=1e-12)
        for name, g in found.items():
            if np.ndim(g):
                assert isinstance(g, kind), name
            np.testing.assert_allclose(
                np.asarray(g).reshape(np.shape(gradients[name])), gradients[name], rtol=1e-12
            )
    kept = f(**ours)[1]["W1"].copy()
    held = f(**ours)[1]["W1"]
    f(**{**ours, "xA": ours["xA"] + 1})
    np.testing.assert_array_equal(held, kept)
    held += 1  # the caller's own


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("learn z in R\na = sigmoid(z)\nL = -log(a)", "a z"),
        ("learn z in R[3]\ngiven y in onehot[3]\np = softmax(z)\nL = cross_entropy(p, y)", "p z"),
        ("learn z in R[3]\ne = exp(z)\ns = sum(e)\nL = log(s)*s", "s e z"),
        ("learn z in R[3]\np = softmax(z)\nL = sum(p)**2", "p z"),
        ("learn p in prob[3]\nL = sum(p)**2", "p"),
        ("learn z in R[3]\na = sigmoid(z)\nL = sum(a*log(a) + (1 - a)*log(1 - a))", "a z"),
    ],
)
def test_gradients_by_names_that_stable_forms_are_written_past(text: str, names: str) -> None:
    model = model_of(text)
    point = point_of(model, 0)
    f = compile_gradient(model, "L", names.split(), engine="numpy")
    _, gradients = f(**{n: point.floats[n] for n in f.names})
    run = point.evaluator(model, exact=False)
    for name in names.split():
        want = run.value(model.deriver.gradient(model.leaves["L"], name))
        same(gradients[name], want, f"{name}\n{f.source}")


@pytest.mark.parametrize("engine", ["numpy", "jax", "numba"])
def test_a_size_that_no_input_has_is_asked_for_at_every_call(engine: str) -> None:
    model = model_of("given x in R[n]\nlearn w in R\nL = n*w**2")
    f = compile_gradient(model, "L", engine=engine)
    assert f.names == ("w", "x")
    for n in (3, 5, 1):
        value, gradients = f(w=2.0, x=np.ones(n))
        assert float(value) == 4 * n
        assert float(gradients["w"]) == 4 * n
        assert float(f(2.0, np.ones(n))[0]) == 4 * n
    with pytest.raises(BackproofError, match=r"x is missing\."):
        f(w=2.0)  # not the size of the call before


@pytest.mark.parametrize("engine", ["numpy", "numba"])
@pytest.mark.parametrize("turned", [False, True], ids=["itself", "a view of it"])
def test_a_result_may_be_the_next_argument_also_where_arrays_are_reused(
    engine: str, turned: bool
) -> None:
    """The gradient of sum(V*(A @ V))/2 is (A + A.T) @ V/2."""
    model = model_of("given A in R[n, n]\nlearn V in R[n, n]\nL = sum(V*(A @ V))/2")
    rng = np.random.default_rng(0)
    a, v = rng.normal(size=(4, 4)), rng.normal(size=(4, 4))
    f = compile_gradient(model, "L", engine=engine, reuse=True)
    for _ in range(4):
        want = (a + a.T) @ np.array(v) / 2
        v = f(A=a, V=v)[1]["V"]
        same(v, want)
        v = v.T if turned else v


@pytest.mark.parametrize("engine", ["numpy", "jax", "numba"])
def test_an_array_without_entries_is_told(engine: str) -> None:
    model = model_of("given X in R[N, d]\nlearn w in R[d]\nL = sumsq(X @ w)/N")
    f = compile_gradient(model, "L", engine=engine)
    with pytest.raises(ShapeProblem, match=r"X has no entries: it came with the shape \(0, 3\)"):
        f(X=np.ones((0, 3)), w=np.ones(3))


@pytest.mark.parametrize("engine", ["numpy", "jax", "numba"])
@pytest.mark.parametrize("value", ["1.5", b"1.5", 10**400, None], ids=str)
def test_what_is_no_number_is_told_after_one(value: Any, engine: str) -> None:
    if engine != "numpy":
        pytest.importorskip(engine)
    f = compile_gradient(
        model_of("given c in R\nlearn w in R[2]\nL = c*sum(w)"), "L", engine=engine
    )
    assert float(f(c=2, w=np.ones(2))[0]) == 4.0
    with pytest.raises(ValueProblem, match=r"^c must be an array of numbers, and is "):
        f(c=value, w=np.ones(2))


def test_arguments_that_are_too_many_or_come_twice() -> None:
    f = compile_gradient(model_of("given c in R\nlearn w in R[2]\nL = c*sum(w)"), "L")
    w = np.ones(2)
    with pytest.raises(BackproofError, match=r"^3 arrays were passed for 2 arguments\.") as caught:
        f(1.0, w, w)
    assert caught.value.hint == "the arguments are c, w"
    with pytest.raises(BackproofError, match=r"^c was passed by position and by name\."):
        f(1.0, w, c=2.0)


def test_exponentials_beyond_float32_are_infinite_where_numbers_are_doubles() -> None:
    pytest.importorskip("numba")
    f = compile_gradient(model_of("learn z in R\nL = exp(z)"), "L", engine="numba", dtype="float32")
    assert float(f(z=88.0)[0]) == pytest.approx(1.6516363e38, rel=1e-5)
    assert float(f(z=100.0)[0]) == np.inf


@pytest.mark.parametrize("engine", ["numpy", "jax", "numba"])
def test_a_complex_number_after_a_number_is_told(engine: str) -> None:
    f = compile_gradient(
        model_of("given c in R\nlearn w in R[2]\nL = c*sumsq(w)"), "L", engine=engine
    )
    w = np.array([1.0, 2.0])
    assert float(f(c=2.0, w=w)[0]) == pytest.approx(10)
    assert float(f(c=3, w=w)[0]) == pytest.approx(15)
    with pytest.raises(BackproofError, match="c must be an array of numbers"):
        f(c=2 + 1j, w=w)
