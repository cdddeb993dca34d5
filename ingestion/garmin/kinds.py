"""What is asked of a Garmin account, day by day; each kind is a stream of its own."""

from __future__ import annotations

KINDS = {
    "daily": "get_user_summary",
    "heart_rate": "get_heart_rates",
    "resting_heart_rate": "get_rhr_day",
    "sleep": "get_sleep_data",
    "steps": "get_steps_data",
    "spo2": "get_spo2_data",
    "respiration": "get_respiration_data",
    "hrv": "get_hrv_data",
    "blood_pressure": "get_blood_pressure",
    "weight": "get_daily_weigh_ins",
}
"""Stream → the library's method that asks for one day of it."""
