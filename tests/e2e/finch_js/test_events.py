"""``EventSource``: what a browser makes of a stream of events."""


def test_it_comes_back_and_misses_nothing(page):
    said = page.run("""
      const heard = [];
      const events = new EventSource("/events");
      await new Promise((done) => events.addEventListener("tick", ({ data, lastEventId }) => {
        heard.push([data, lastEventId]);
        if (heard.length === 5) done(events.close());
      }));
      return heard;
    """)
    assert said == [[f"event\n{number}", str(number)] for number in range(1, 6)]
