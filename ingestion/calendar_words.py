"""Months, weekdays and parts of the day in the languages people keep logs in: English, Polish, German, Spanish, French, Italian,
Portuguese, Russian, Ukrainian, Dutch, Czech. Whole words only: a prefix rule would take Czech `červenec` (July) for `červen` (June).
"""

from __future__ import annotations

from ingestion.words import words

_MONTH_WORDS = {
    1: "january|jan|styczeń|stycznia|sty|januar|jänner|jän|enero|ene|janvier|janv|gennaio|gen|janeiro|январь"
    "|января|янв|січень|січня|січ|januari|leden|ledna|led",
    2: "february|feb|luty|lutego|lut|februar|febrero|février|févr|fév|febbraio|fevereiro|fev|февраль|февраля"
    "|фев|февр|лютий|лютого|лют|februari|únor|února|úno",
    3: "march|mar|marzec|marca|märz|mär|mrz|marzo|mars|março|март|марта|мар|березень|березня|бер|maart|mrt|březen|března|bře",
    4: "april|apr|kwiecień|kwietnia|kwi|abril|abr|avril|avr|aprile|апрель|апреля|апр|квітень|квітня|кві|квіт|duben|dubna|dub",
    5: "may|maj|maja|mai|mayo|maggio|mag|maio|май|мая|травень|травня|тра|трав|mei|květen|května|kvě",
    6: "june|jun|czerwiec|czerwca|cze|juni|junio|juin|giugno|giu|junho|июнь|июня|июн|червень|червня|чер|черв|červen|června|čvn",
    7: "july|jul|lipiec|lipca|lip|juli|julio|juillet|juil|luglio|lug|julho|июль|июля|июл|липень|липня|лип|červenec|července|čvc",
    8: "august|aug|sierpień|sierpnia|sie|agosto|ago|août|aoû|август|августа|авг|серпень|серпня|сер|серп|augustus|srpen|srpna|srp",
    9: "september|sep|sept|wrzesień|września|wrz|septiembre|septembre|settembre|set|setembro|сентябрь"
    "|сентября|сен|сент|вересень|вересня|вер|září|zář",
    10: "october|oct|październik|października|paź|oktober|okt|octubre|octobre|ottobre|ott|outubro|out|октябрь"
    "|октября|окт|жовтень|жовтня|жов|жовт|říjen|října|říj",
    11: "november|nov|listopad|listopada|lis|noviembre|novembre|novembro|ноябрь|ноября|ноя|нояб|листопад"
    "|листопада|лис|лист|listopadu",
    12: "december|dec|grudzień|grudnia|gru|dezember|dez|diciembre|dic|décembre|déc|dicembre|dezembro|декабрь"
    "|декабря|дек|грудень|грудня|гру|груд|prosinec|prosince|pro",
}
MONTHS = {word: number for number, entry in _MONTH_WORDS.items() for word in words(entry)}
"""Folded month name or abbreviation → 1 to 12."""

DATE_FILLERS = words(
    "mon|monday|tue|tues|tuesday|wed|wednesday|thu|thur|thurs|thursday|fri|friday|sat|saturday|sun|sunday"
    "|pon|pn|poniedziałek|wt|wtorek|śr|środa|czw|czwartek|pt|piątek|sob|sobota|niedz|nd|niedziela"
    "|mo|montag|di|dienstag|mi|mittwoch|do|donnerstag|fr|freitag|sa|samstag|so|sonntag"
    "|lun|lunes|martes|mié|miércoles|jue|jueves|vie|viernes|sáb|sábado|dom|domingo"
    "|lundi|mardi|mercredi|jeu|jeudi|ven|vendredi|sam|samedi|dim|dimanche"
    "|lunedì|martedì|mercoledì|gio|giovedì|venerdì|sabato|domenica"
    "|segunda|terça|quarta|quinta|sexta|feira|пн|понедельник|вт|вторник|ср|среда|чт|четверг|пт|пятница|сб|суббота|вс|воскресенье"
    "|понеділок|вівторок|середа|четвер|п'ятниця|субота|нд|неділя|ma|maandag|dinsdag|wo|woensdag|donderdag|vr|vrijdag|za|zaterdag"
    "|zo|zondag|po|pondělí|út|úterý|st|středa|čt|čtvrtek|pá|pátek|so|ne|neděle"
    "|th|nd|rd|er|of|the|de|del|d|r|roku|rok|г|года|р|року"
)
"""Words beside a day, a month name and a year that say nothing more."""

_SLOT_WORDS = {
    "morning": "morning|in the morning|rano|ranek|poranek|poranny|poranne|poranna|am|a m|morgen|morgens|am morgen|früh|vormittag"
    "|vormittags|mañana|por la mañana|mattina|mattino|matin|le matin|manhã|de manhã|утро|утром|ранок|вранці|зранку|ochtend"
    "|s ochtends|ráno|dopoledne|przed południem",
    "midday": "noon|midday|południe|w południe|mittag|mittags|mediodía|mezzogiorno|midi|meio dia|полдень|в обед|опівдні|обід|middag"
    "|s middags|poledne|v poledne",
    "afternoon": "afternoon|in the afternoon|popołudnie|po południu|popołudniu|nachmittag|nachmittags|pomeriggio|après midi|днем"
    "|вдень|namiddag|odpoledne",
    "evening": "evening|in the evening|wieczór|wieczorem|wieczorny|wieczorna|wieczorne|pm|p m|abend|abends|am abend|tarde|por la tarde"
    "|à tarde|sera|di sera|soir|le soir|вечер|вечером|вечір|ввечері|увечері|avond|s avonds|večer",
    "night": "night|at night|noc|w nocy|na noc|przed snem|bedtime|nacht|nachts|noche|por la noche|notte|nuit|noite|à noite|ночь|ночью"
    "|ніч|вночі|s nachts|v noci",
}
SLOTS = {word: slot for slot, entry in _SLOT_WORDS.items() for word in words(entry)}
"""Folded word or phrase (without punctuation) → part of the day."""
