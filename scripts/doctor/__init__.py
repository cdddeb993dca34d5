"""`doctor`: one file per area; each looks, changes nothing and tells every problem with its mend."""
