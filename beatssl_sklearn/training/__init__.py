"""What all trainings share: epochs, checkpoints, the progress bar."""
