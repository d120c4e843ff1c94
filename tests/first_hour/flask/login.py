from flask import Flask, abort, redirect, request, session

app = Flask(__name__)
app.secret_key = "only-for-this-page-and-not-a-real-secret"


@app.post("/login")
def enter():
    if request.form["password"] != "swordfish":
        abort(401, "wrong name or password")
    session["user"] = request.form["name"]
    return redirect("/me", 303)


@app.get("/me")
def me():
    if "user" not in session:
        abort(401)
    return f"hello {session['user']}"
