uvicorn app:app --workers 2
