"""The offline report: records (as `verify --json` writes them) → pages with pictures, that no script is needed for."""
