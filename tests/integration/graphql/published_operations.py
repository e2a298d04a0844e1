"""The operations that DTQ's documentation published before it was built; clients rely on them word for word.

`TASK_ID` stands for an id. Subscriptions are tested with their transport.
"""

REGISTER = """
mutation Register {
  register(
    input: {
      email: "user@example.com"
      password: "securepassword"
      name: "John Doe"
    }
  ) {
    accessToken
    user {
      id
      email
      name
      role
    }
  }
}
"""

LOGIN = """
mutation Login {
  login(input: { email: "user@example.com", password: "securepassword" }) {
    accessToken
    user {
      id
      email
    }
  }
}
"""

PENDING_TASKS = """
# Get all tasks
query {
  tasks(status: "pending", limit: 50) {
    id
    name
    priority
    status
    createdAt
    error
  }
}
"""

PROCESSING_TASKS = """
query GetTasks {
  tasks(status: PROCESSING, limit: 10) {
    id
    title
    status
    priority
    attempts
    createdAt
    user {
      email
    }
  }
}
"""

ALL_IDS = "{ tasks { id } }"

SINGLE_TASK = """
# Get single task details
query {
  task(id: "TASK_ID") {
    id
    name
    payload
    status
    retries
    maxRetries
  }
}
"""

TASK_DETAILS = """
query GetTask {
  task(id: "TASK_ID") {
    id
    title
    description
    status
    priority
    payload
    result
    error
    attempts
    maxRetries
    startedAt
    completedAt
    logs {
      message
      level
      createdAt
    }
  }
}
"""

WORKERS = """
# Get workers
query {
  workers {
    id
    name
    activeTaskCount
    isOnline
    lastHeartbeat
  }
}
"""

STATS = """
query GetStats {
  taskStats {
    total
    pending
    processing
    completed
    failed
  }
}
"""

CREATE_BY_NAME = """
# Create a task
mutation {
  createTask(
    input: {
      name: "send-email"
      payload: { email: "user@example.com" }
      priority: 10
    }
  ) {
    id
    status
    createdAt
  }
}
"""

CREATE_BY_TITLE = """
mutation CreateTask {
  createTask(
    input: {
      title: "Process Video"
      description: "Convert video to multiple formats"
      priority: HIGH
      payload: { videoId: "abc123", formats: ["720p", "1080p", "4K"] }
    }
  ) {
    id
    title
    status
    priority
    createdAt
  }
}
"""

CREATE_FOR_LATER = """
mutation ScheduleTask {
  createTask(
    input: {
      title: "Send Newsletter"
      description: "Weekly newsletter"
      priority: NORMAL
      scheduledAt: "SCHEDULED_AT"
      payload: { recipients: ["user1@example.com", "user2@example.com"] }
    }
  ) {
    id
    title
    scheduledAt
  }
}
"""

CREATE_RECURRING = """
# Create recurring task (daily at 2am)
mutation {
  createTask(
    input: {
      name: "daily-report"
      payload: { reportType: "sales" }
      cronExpression: "0 2 * * *"
      isRecurring: true
    }
  ) {
    id
  }
}
"""

CREATE_RECURRING_WITHOUT_PAYLOAD = """
# Daily report at 2 AM
mutation {
  createTask(
    input: {
      name: "daily-report"
      cronExpression: "0 2 * * *" # Cron format
      isRecurring: true
    }
  ) {
    id
  }
}
"""

RETRY_WITH_RETRIES = """
# Retry a failed task
mutation {
  retryTask(id: "TASK_ID") {
    id
    status
    retries
  }
}
"""

RETRY_WITH_ATTEMPTS = """
mutation RetryTask {
  retryTask(id: "TASK_ID") {
    id
    status
    attempts
  }
}
"""

CANCEL = """
mutation CancelTask {
  cancelTask(id: "TASK_ID") {
    id
    status
  }
}
"""

FOLLOW_NEW_TASKS = """
# Subscribe to new tasks
subscription {
  taskCreated {
    id
    name
    status
  }
}
"""

FOLLOW_STATUS_CHANGES = """
# Subscribe to task status changes
subscription {
  taskStatusChanged {
    id
    status
    completedAt
  }
}
"""

FOLLOW_TASK_UPDATES = """
subscription TaskUpdates {
  taskUpdated {
    id
    title
    status
    updatedAt
  }
}
"""
