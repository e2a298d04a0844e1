"""What the requests of the users are called, in the report and between the processes."""

CREATE = "createTask"
CREATE_MANY = "createTasks"
ONE = "task"
LIST = "tasks"
STATISTICS = "taskStats"
FLOW = "createTask to COMPLETED"
