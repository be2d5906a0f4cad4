"""The page for people: each of its pages is a module with the routes, what they show, and a template beside it.

Everything is drawn on the server and every form is a plain form, so that reading and asking work without scripts; the
scripts in static/ add what a browser cannot do alone: uploading with progress, watching, copying.
"""
