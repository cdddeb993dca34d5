"""Google Fit: the Takeout of a service that has been shut down."""
