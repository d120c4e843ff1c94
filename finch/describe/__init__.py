"""What an application takes, answers and sends, read off its handlers: for types and for pages.

Nothing of this runs while an application serves, except to answer requests for the descriptions.
"""
