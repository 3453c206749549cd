"""Programs that measure whichever version of the package they import, and print one JSON object each."""
