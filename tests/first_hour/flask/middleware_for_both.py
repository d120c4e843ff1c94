from flask import Flask, abort, request
from flask_sock import Sock

app = Flask(__name__)
sock = Sock(app)


@app.before_request
def check():
    if request.headers.get("x-token") != "secret":
        abort(401)


@app.get("/")
def index():
    return "hello"


@sock.route("/echo")
def echo(ws):
    while True:
        ws.send(ws.receive())
