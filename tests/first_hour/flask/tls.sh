flask run --cert cert.pem --key key.pem
