from flask import Flask, request

app = Flask(__name__)


@app.post("/birds")
def add():
    return f"added {request.form['name']}"
