"""Sheets as fast code: one derivation, and an interpreter of it for every engine.

`program` turns a target and its gradients into a list of operations, `rewrites` puts these into
forms that neither overflow nor cancel. `expressions` writes operations as NumPy, JAX or PyTorch
expressions, `numpy_engine`, `jax_engine` and `numba_engine` make functions of them, `curvature`
and `structured` are second derivatives that keep their structure, `export` writes source files.
No engine knows a network; none knows how another one works.
"""
