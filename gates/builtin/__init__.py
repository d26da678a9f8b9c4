"""The gates that come with Signalbox: one module each."""
