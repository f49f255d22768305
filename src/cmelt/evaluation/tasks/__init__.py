"""What is asked of a model: classes, the labels that prove them and the sentences that describe them."""

from cmelt.evaluation.tasks.loading import Task, TaskClass, bundled_tasks, load_task, tasks_in

__all__ = ["Task", "TaskClass", "bundled_tasks", "load_task", "tasks_in"]
