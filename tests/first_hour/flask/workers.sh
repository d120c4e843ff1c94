gunicorn --workers 2 app:app
