"""The dashboard's entry: `streamlit run dashboard.py`, or `make dashboard`."""

import streamlit as st

from serving.dashboard import server
from serving.dashboard.faults import keep_logs_quiet

keep_logs_quiet()
server.stay_home()
server.trust_charts()
app = st.App("serving/dashboard/app.py", middleware=server.middleware(), routes=server.routes(), on_script_error=server.on_error)
