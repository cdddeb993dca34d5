"""What is seen: the dashboard, the read API, metrics and alerts. It reads; it writes nothing but its own metrics."""
