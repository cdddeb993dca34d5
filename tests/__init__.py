"""Tests: one file per feature, names state behaviour."""
