"""Benchmarks: whole processes, interleaved; every figure in the README comes from here."""
