"""Which types of the Health app are read; every other is counted and told by name."""

from __future__ import annotations

CORRELATION = "HKCorrelationTypeIdentifierBloodPressure"
QUANTITY, CATEGORY = "HKQuantityTypeIdentifier", "HKCategoryTypeIdentifier"

READ = frozenset(
    {
        *(
            QUANTITY + name
            for name in (
                "ActiveEnergyBurned",
                "BasalEnergyBurned",
                "BloodPressureDiastolic",
                "BloodPressureSystolic",
                "BodyFatPercentage",
                "BodyMass",
                "BodyTemperature",
                "DistanceWalkingRunning",
                "HeartRate",
                "HeartRateVariabilitySDNN",
                "OxygenSaturation",
                "RespiratoryRate",
                "RestingHeartRate",
                "StepCount",
            )
        ),
        CATEGORY + "SleepAnalysis",
    }
)
"""`type` of the records that become records here."""


def short(type_: str) -> str:
    """`HKQuantityTypeIdentifierHeartRate` → `HeartRate`."""
    return type_.removeprefix(QUANTITY).removeprefix(CATEGORY)
