"""Health Connect: Android's own store of what all health apps write, as it backs itself up."""
