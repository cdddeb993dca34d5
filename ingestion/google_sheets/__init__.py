"""Blood pressure kept in a Google Sheet: read live, or from the same sheet saved as CSV, XLSX or JSON."""
