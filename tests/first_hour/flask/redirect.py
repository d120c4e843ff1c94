from flask import Flask, redirect

app = Flask(__name__)


@app.get("/old")
def old():
    return redirect("/new", 301)
