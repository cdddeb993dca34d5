"""What Streamlit runs each time somebody does something."""

from serving.dashboard import shell

shell.run()
