from flask import Flask, render_template

app = Flask(__name__)


@app.get("/birds/<name>")
def bird(name):
    return render_template("bird.html", name=name)
