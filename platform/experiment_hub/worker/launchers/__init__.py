"""Ways of starting a job's command; a new one is one new module here with a module-level `LAUNCHER`."""
