from flask import Flask
from flask_cors import CORS

app = Flask(__name__)
CORS(app, origins=["https://example.org"])


@app.get("/birds")
def birds():
    return ["finch", "tit"]
