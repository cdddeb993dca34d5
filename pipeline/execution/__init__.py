"""Running one node: calling its function, what it holds in its hands, where that happens, and that it touches only what it declares."""
