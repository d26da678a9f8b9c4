"""The queue: what shall run, in which order, and who may run it; what a job does is not its business."""
