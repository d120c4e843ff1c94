from flask import Flask, url_for

app = Flask(__name__)


@app.get("/birds/<int:bird_id>")
def bird(bird_id):
    return f"bird {bird_id}"


@app.get("/first")
def first():
    return url_for("bird", bird_id=1, _external=True)
