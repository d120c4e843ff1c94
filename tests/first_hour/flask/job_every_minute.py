from apscheduler.schedulers.background import BackgroundScheduler
from flask import Flask

app = Flask(__name__)
scheduler = BackgroundScheduler()
scheduler.start()


@scheduler.scheduled_job("interval", minutes=1)
def clean_up():
    print("cleaned up")
