"""The experiments room: WHICH runs, and their record. The only room that knows MLflow."""
