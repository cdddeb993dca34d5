"""The CSV layouts PDP knows, as data. A person's own preset (setting `bp_csv_presets`) has the same keys and is believed first.

A preset is chosen by its header names. Keys:

    columns        field → header names that mean it (case, accents and blanks do not matter). Fields: datetime | date [time] |
                   timestamp_ms | timestamp_s; systolic diastolic | pressure (`128/82`); pulse note irregular movement user
    requires       header names that must be there besides, to tell similar layouts apart
    delimiter      one of , ; tab (written "\\t"); without it whichever fits
    padded         true: a blank after the delimiter is layout
    encoding       utf-8 unless said; a byte-order mark decides before it
    decimal        "." or ","; without it both are read
    date_formats   strptime formats of the date or datetime column; without them dates are recognised, never guessed
    time_formats   the same for the time column
    unit           mmHg or kPa; without it what header and cells say, else mmHg (what could be kPa or cmHg is refused)
    na             cells that mean "no value"
    own_user       which user of the cuff is you; readings of others are kept as records and become no readings
    user_in_name   regular expression whose first group is the user in the file's name

Sources: OMRON connect and omblepy, Withings `bp.csv`, blood-pressure-monitor-fl exports 1.0 to 1.5.8; `docs/sources.md`.
"""

from __future__ import annotations

from typing import Any

GENERIC = "generic"
"""Any other table whose header names a date, a time and blood pressure in one of the languages of `blood_pressure_words`."""

SHIPPED: dict[str, dict[str, Any]] = {
    "omron_connect": {
        "requires": ["TruRead"],
        "columns": {
            "date": ["Date", "Datum", "Data", "Fecha", "Datum měření", "Дата", "Measurement Date"],
            "time": [
                "Time",
                "Zeit",
                "Uhrzeit",
                "Godzina",
                "Czas",
                "Hora",
                "Heure",
                "Ora",
                "Orario",
                "Tijd",
                "Čas",
                "Время",
                "Час",
            ],
            "systolic": [
                *("Systolic (mmHg)", "Systolisch (mmHg)", "Skurczowe (mmHg)", "Sistólica (mmHg)", "Systolique (mmHg)"),
                *(
                    "Sistolica (mmHg)",
                    "Systolický (mmHg)",
                    "Систолическое (мм рт. ст.)",
                    "Систолічний (мм рт. ст.)",
                    "SYS (mmHg)",
                ),
                *("Systolic (kPa)", "Systolisch (kPa)", "Skurczowe (kPa)"),
            ],
            "diastolic": [
                *("Diastolic (mmHg)", "Diastolisch (mmHg)", "Rozkurczowe (mmHg)", "Diastólica (mmHg)", "Diastolique (mmHg)"),
                *(
                    "Diastolica (mmHg)",
                    "Diastolický (mmHg)",
                    "Диастолическое (мм рт. ст.)",
                    "Діастолічний (мм рт. ст.)",
                    "DIA (mmHg)",
                ),
                *("Diastolic (kPa)", "Diastolisch (kPa)", "Rozkurczowe (kPa)"),
            ],
            "pulse": [
                *("Pulse (bpm)", "Puls (bpm)", "Tętno (bpm)", "Pulso (bpm)", "Pouls (bpm)", "Polso (bpm)", "Pols (bpm)"),
                *("Hartslag (bpm)", "Tep (bpm)", "Пульс (уд/мин)", "Пульс (уд/хв)", "Pulsation (bpm)", "Pulse Rate (bpm)"),
            ],
            "irregular": ["Irregular heartbeat detected", "Irregular Heartbeat"],
            "movement": ["Body Movement", "Body movement detection"],
            "user": ["User", "Benutzer", "Użytkownik", "Usuario", "Utilisateur", "Utente"],
            "note": ["Notes", "Note", "Notizen", "Notatki", "Uwagi", "Notas", "Remarques", "Opmerkingen", "Poznámky", "Заметки"],
        },
        "na": ["-", "–", "—"],
        "own_user": "1",
    },
    "omblepy": {
        "requires": ["mov", "ihb"],
        "columns": {
            "datetime": ["datetime"],
            "diastolic": ["dia"],
            "systolic": ["sys"],
            "pulse": ["bpm"],
            "movement": ["mov"],
            "irregular": ["ihb"],
        },
        "date_formats": ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"],
        "own_user": "1",
        "user_in_name": r"user(\d+)",
    },
    "withings": {
        "columns": {
            "datetime": ["Date"],
            "pulse": ["Heart rate", "Heart rate (bpm)"],
            "systolic": ["Systolic", "Systolic (mmHg)"],
            "diastolic": ["Diastolic", "Diastolic (mmHg)"],
            "note": ["Comments"],
        },
        "requires": ["Comments"],
        "date_formats": ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M"],
    },
    "bp_app": {
        "delimiter": ",",
        "padded": True,
        "columns": {
            "timestamp_ms": ["timestampUnixMs"],
            "systolic": ["systolic"],
            "diastolic": ["diastolic"],
            "pulse": ["pulse"],
            "note": ["notes"],
        },
        "na": ["null"],
    },
    "bp_app_semicolon": {
        "delimiter": ";",
        "columns": {
            "timestamp_ms": ["timestampUnixMs"],
            "systolic": ["systolic"],
            "diastolic": ["diastolic"],
            "pulse": ["pulse"],
            "note": ["notes"],
        },
        "na": ["null"],
    },
}
"""Name → preset."""
