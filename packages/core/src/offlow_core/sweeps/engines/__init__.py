"""Where jobs run: this machine, a Slurm cluster, a Ray cluster. All of them run the same command for a job."""
