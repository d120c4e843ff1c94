from fastapi import BackgroundTasks, FastAPI

app = FastAPI()


async def send_mail(address):
    print("to", address)


@app.post("/mail/{address}", status_code=202)
async def mail(address: str, tasks: BackgroundTasks):
    tasks.add_task(send_mail, address)
    return "on its way"
