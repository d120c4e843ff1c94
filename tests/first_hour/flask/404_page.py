from flask import Flask

app = Flask(__name__)


@app.errorhandler(404)
def missing(error):
    return "<h1>No such bird</h1>", 404
