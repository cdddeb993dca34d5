"""How the platform is doing, in numbers: facts gathered on demand, told to Prometheus and to the alerts."""
