"""The report for the doctor: a measuring week as figures and sentences, as a drawing, and as a page to print."""
