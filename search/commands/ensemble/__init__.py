"""`segvote ensemble`, and the vote at the end of a search: select the members, assess the vote, keep it."""
