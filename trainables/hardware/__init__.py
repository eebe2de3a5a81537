"""What the machine can do and what it runs out of: number formats, compiling, memory, disks and threads."""
