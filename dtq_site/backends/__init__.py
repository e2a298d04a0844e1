"""Django's database back ends with the metrics of django-prometheus, made to keep what django-prometheus makes anew.

It makes a class for each cursor, and Django a cursor for each statement: a tenth of what a small request of the API takes.
Here a connection keeps its class. Django finds a back end by the module `base` of the package that ENGINE names.
"""
