"""Apple Health: the export of the Health app, `export.xml` under any of its names."""
