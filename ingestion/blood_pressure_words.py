"""What people call the columns of a blood pressure log, in the languages of `calendar_words`; single folded words and phrases."""

from __future__ import annotations

from ingestion.words import words

SYSTOLIC = words(
    "systolic|sys|syst|sbp|sys bp|sis|systolisch|systolischer|systolische|systole|oberer|oberwert|systolique|pas|maxi"
    "|sistólica|sistólico|sistolica|sistolico|sistole|máxima|massima|skurczowe|skurczowy|skurcz|górne|górny"
    "|верхнее|верхний|верхнє|верхній|систолическое|систолический|систолічний|систолічне|сис|сад|bovendruk|bovenwaarde"
    "|systolický|horní"
)
DIASTOLIC = words(
    "diastolic|dia|diast|dbp|dias|diastolisch|diastolischer|diastolische|diastole|unterer|unterwert|diastolique|pad|mini"
    "|diastólica|diastólico|diastolica|diastolico|mínima|minima|rozkurczowe|rozkurczowy|rozkurcz|dolne|dolny"
    "|нижнее|нижний|нижнє|нижній|диастолическое|диастолический|діастолічний|діастолічне|диа|діа|дад|onderdruk|onderwaarde"
    "|diastolický|dolní"
)
PULSE = words(
    "pulse|pul|puls|hr|bpm|heartrate|heart rate|heart beat|tętno|pulso|pulsaciones|polso|pulsazioni|pouls|pulsations|fc|pulsação"
    "|frequence cardiaque|frequenza cardiaca|frequencia cardiaca|frecuencia cardiaca|herzfrequenz|ritmo cardíaco|batimentos"
    "|пульс|чсс|hartslag|hartritme|polsslag|tep|tepová frekvence|pulz"
)
PRESSURE = words(
    "pressure|blood pressure|bp|ciśnienie|rr|blutdruck|presión|presion arterial|tensión|tension|ta|pa|pression|pression artérielle"
    "|pressione|pressão|давление|ад|тиск|ат|bloeddruk|tlak|krevní tlak|nibp"
)
DATE = words(
    "date|data|datum|dzień|tag|fecha|giorno|jour|dag|den|дата|день|day|datetime|timestamp|time stamp|date time|zeitstempel|zeitpunkt"
    "|sygnatura czasowa|marca temporal|horodateur|informazioni cronologiche|carimbo de data hora|отметка времени|tijdstempel"
    "|časová značka|позначка часу|measured at|when"
)
TIME = words(
    "time|godz|godzina|czas|pora|uhrzeit|zeit|uhr|hora|heure|ora|orario|время|час|tijd|tijdstip|čas|hour|tageszeit|momento"
    "|moment|when in the day"
)
TIME_OF_DAY = words("time of day|time of the day|part of day|part of the day|momento do dia|momento del dia|moment de la journée")
"""Phrases that speak of a day and are no date."""
NOTE = words(
    "note|notes|notatka|notatki|uwagi|uwaga|komentarz|komentarze|comment|comments|kommentar|kommentare|bemerkung|bemerkungen|notiz"
    "|notizen|anmerkung|anmerkungen|nota|notas|comentario|comentarios|observaciones|comentário|comentários|observações|osservazioni"
    "|commenti|annotazioni|commentaire|commentaires|remarque|remarques|remark|remarks|примечание|примечания|комментарий|заметки"
    "|примітка|примітки|коментар|нотатки|opmerking|opmerkingen|notitie|notities|poznámka|poznámky|opis"
)
OTHER = words(
    "mean|map|average|avg|średnia|średnie|średni|mittel|mittelwert|durchschnitt|media|promedio|moyenne|среднее|середнє|gemiddelde"
    "|gemiddeld|průměr|target|goal|cel|ziel|doel|birth|urodzenia|geburtsdatum|pp|pulse pressure|ciśnienie tętna|pulsdruck|irregular"
    "|arytmia|arrhythmia|ihb|afib|nieregularne|temperature|weight|waga|symptoms|tag id|id"
)
"""A column that speaks of these is not a measurement's, whatever else stands in its name."""
DAY_OR_DIASTOLIC = words("dia")
"""Spanish and Portuguese `día` and the cuff's `DIA` fold to the same word."""

SUMMARY = words(
    "średnia|średnio|średnie|śr|average|avg|mean|mittelwert|mittel|durchschnitt|schnitt|media|promedio|media|moyenne|moy|média"
    "|среднее|средний|середнє|gemiddelde|gemiddeld|gem|průměr|max|min|maximum|minimum|maks|maksimum|mín|máx|suma|sum|summe|somme|soma"
    "|total|totale|razem|łącznie|gesamt|mediana|median|médiane|sd|stdev|odchylenie|итого|всего|всього|сума|celkem|σ|∑|ø|norma|cel"
)
"""First words of a row that sums others up."""
