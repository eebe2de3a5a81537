"""Which candidates vote: ensemble selection by several searches, its cross-fit, and a shortlist for large pools."""
