"""A reusable app: it knows `django.tasks`, by whichever name it goes here, and nothing of DTQ but what it may raise."""
