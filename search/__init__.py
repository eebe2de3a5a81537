"""Everything that talks to Ray, Optuna, MLflow, the screen and the command line.

`run.py` is the main job on one screen, `steps.py` and `prepare.py` have its steps, and `request.py` checks what was
typed before any slow library is imported. The folders:

    cli        one file a command: its options and its help
    study      what a study is on disk, its settings and its space, and how a trial ends
    tuning     Ray Tune, Optuna's sampler and early stopping, set up for one study
    tracking   MLflow: runs of studies, trials and ensembles
    report     what people see: the live screen, tables, pictures and the HTML page
    data, ensemble, export, foresee, predict, refit, status, vote   a folder for each command
"""
