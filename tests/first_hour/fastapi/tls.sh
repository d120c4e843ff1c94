uvicorn app:app --ssl-certfile cert.pem --ssl-keyfile key.pem
