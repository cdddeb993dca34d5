"""The dashboard's shell: who is looking, at whose data, which days; the pages themselves are in `serving.pages`."""
