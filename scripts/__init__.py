"""Operator tools: mock data, inspection, maintenance."""
