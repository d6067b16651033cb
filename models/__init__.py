"""The models room: HOW it is learned and judged. Framework, milestones, sweeps, estimators; no MLflow."""
