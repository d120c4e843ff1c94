flask run --debug
