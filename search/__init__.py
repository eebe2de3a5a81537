"""Everything that talks to Ray, Optuna, MLflow, the screen and the command line.

`run.py` is the main job, `segvote search`, on one screen. `check_flags.py` checks what was typed before any slow
library is imported, `prepare.py` makes the data ready, and `search_steps.py` and `final_steps.py` have the steps up to
the last trial and after it. The folders:

    cli        the options and the help of each command, a file for each
    commands   what the other commands do: data, ensemble, export, foresee, predict, refit, status, vote
    study      what a study is on disk, its settings and its space, and how a trial ends
    tuning     Ray Tune, Optuna's sampler and early stopping, set up for one study
    tracking   MLflow: runs of studies, trials and ensembles
    screen     what is shown while a search runs
    report     what is shown of its result: tables, pictures and the HTML page
"""
