fastapi dev app.py
