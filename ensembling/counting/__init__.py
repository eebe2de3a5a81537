"""The vote table: it counts what any set of candidates scores by its hard vote, without voting anew pixel by pixel.

A selection asks for thousands of votes on the same class maps: of the members so far, and of these with one more vote
of each candidate. `build_table` reads the maps once and keeps only what tells votes apart; `VoteTable` counts on that.
These two are all that the rest of the project uses. The counts of a vote are, for each class, its hits (pixels that the
vote gives it, and rightly), its predicted and its labelled pixels: what mIoU is computed from (see scores.py).

An example of eight pixels, three candidates, ranked A, B, C, and the classes 0, 1 and 2:

    pixel    0 1 2 3 4 5 6 7
    target   0 0 1 1 1 2 2 0
    A        0 0 1 1 0 2 2 0
    B        0 1 1 0 0 2 1 0
    C        0 1 1 0 1 2 0 0
    all      0 . 1 . . 2 . 0

1. On the pixels 0, 2, 5 and 7 all candidates agree, and so does every vote of them: they are only counted
   (pack_pixels.py).

    agreed     class 0  hits 2  predicted 2
    agreed     class 1  hits 1  predicted 1
    agreed     class 2  hits 1  predicted 1

2. The other pixels are disputed. Those with the same classes and the same target make a group (group_pixels.py). Of
   each class of a group but the last, every candidate has a word, with a bit for each pixel on which it votes for that
   class; whoever votes for none of these votes for the last class (blocks.py). A word has 64 bits: 64 pixels of a group
   are a block, and one instruction counts on all of them.

    group      classes 0 1    target 0  pixels 1
    votes      for 0          A 1   B 0   C 0
    group      classes 0 1    target 1  pixels 3 4
    votes      for 0          A 01  B 11  C 10
    group      classes 0 1 2  target 2  pixels 6
    votes      for 0          A 0   B 0   C 1
    votes      for 1          A 0   B 1   C 0

3. A vote counts bits (count_two_classes.py, count_blocks.py). With the members A, B and C, class 0 has two votes of
   three on the pixels 3 and 4, and wins them; on pixel 6 each class has one vote, and A, which ranks best, decides for
   class 2.

    vote       class 0  hits 2  predicted 4  labelled 3
    vote       class 1  hits 1  predicted 2  labelled 3
    vote       class 2  hits 2  predicted 2  labelled 2

   What one more vote of each candidate changes is counted at the same time: where it makes a class win that is a vote
   short, its bit is set.

Pixels on which a candidate abstains, or of more than six classes, are in no group: they stay ids, and reference.py
counts them one by one. It is also the shortest statement of what all of this computes, and the place to begin reading.
Pixels belong to parts (folds or images), which can be counted apart: each group has the pixels of one part. A large
holdout is cut in chunks (chunks.py), which are packed and counted by several threads.
"""

from ensembling.counting.table import VoteTable, build_table

__all__ = ["VoteTable", "build_table"]
