"""Exact index-notation algebra with a canonical normal form: the pure algebra under proofs."""
