"""The names of the tags that SegVote gives its runs in MLflow."""

KIND = "segvote.kind"  # study, trial, ensemble, export or refit; DUPLICATE of any of them
DUPLICATE = "duplicate"  # the kind of a run that MLflow made twice, of which the other one is used
STUDY = "segvote.study"
STUDY_ID = "segvote.study_id"
TRIAL = "segvote.trial"  # the trial's number in its study
STATUS = "segvote.status"  # completed, stopped, killed or failed
VERDICT = "segvote.verdict"  # how the trial ended, in words
RUNNING = "segvote.running"  # of a study: the epochs in progress, as JSON by the trials' numbers
GPUS = "segvote.gpus"  # of a study: what the GPUs of its driver's machine do, a line each
EPOCHS = "segvote.epochs"
BEST_EPOCH = "segvote.best_epoch"
CANDIDATE = "segvote.candidate"  # "true" of a trial that reached the last rung or finished
MEMBER = "segvote.member"  # "true" of a trial that votes in its study's own ensemble
DIGEST = "segvote.digest"  # of a study's own ensemble: a hash of its record
