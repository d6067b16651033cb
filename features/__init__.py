"""The features room: WHAT is measured. Input tables, windows, specs, engine, observations and outcomes."""
