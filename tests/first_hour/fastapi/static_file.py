from fastapi import FastAPI

app = FastAPI()
app.frontend("/assets", directory="assets")
