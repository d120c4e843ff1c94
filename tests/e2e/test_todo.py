"""The to-do list in a real browser: with its script, and without any."""

import pytest
from selenium.webdriver.common.by import By

from tests.e2e.browsing import (
    DESKTOP,
    PHONE,
    axe,
    chromium,
    complaints,
    look,
    tabs,
    texts,
    wait_for,
)
from tests.processes import finch

TODOS = "#list li p span"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with finch("todo:app", "--port", 0, TODO_DATA=str(tmp_path_factory.mktemp("todo"))) as process:
        yield process.url


def field(driver, name):
    return driver.find_element(By.NAME, name)


def log_in(driver, url, name, password="swordfish"):
    driver.get(f"{url}/")
    assert driver.current_url == f"{url}/login"
    field(driver, "name").send_keys(name)
    field(driver, "password").send_keys(password)
    driver.find_element(By.CSS_SELECTOR, "form.box .main").click()


def add(driver, title, file=None):
    field(driver, "title").send_keys(title)
    if file is not None:
        field(driver, "file").send_keys(str(file))
    driver.find_element(By.CSS_SELECTOR, "#new .main").click()


def press(driver, title, button):
    (row,) = (
        row
        for row in driver.find_elements(By.CSS_SELECTOR, "#list li")
        if row.find_elements(By.CSS_SELECTOR, "p span")
        and row.find_element(By.CSS_SELECTOR, "p span").text == title
    )
    row.find_element(By.CSS_SELECTOR, button).click()


def shows(driver, *titles, done=0):
    def is_so(driver):
        return (
            texts(driver, TODOS) == list(titles)
            and len(driver.find_elements(By.CSS_SELECTOR, "li.done")) == done
        )

    wait_for(driver, is_so)


@pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without"])
def test_a_list_is_kept_by_forms(served, tmp_path, script):
    (tmp_path / "milk.txt").write_text("two bottles")
    switch = () if script else ("--blink-settings=scriptEnabled=false",)
    with chromium(tmp_path, *switch) as driver:
        name = "ann" if script else "bob"
        log_in(driver, served, name)
        shows(driver)
        add(driver, "Buy <b>milk</b>", tmp_path / "milk.txt")
        shows(driver, "Buy <b>milk</b>")
        add(driver, "Sleep")
        shows(driver, "Buy <b>milk</b>", "Sleep")
        press(driver, "Sleep", ".tick")
        shows(driver, "Buy <b>milk</b>", "Sleep", done=1)
        press(driver, "Sleep", "[value=remove]")
        shows(driver, "Buy <b>milk</b>")
        assert (
            driver.find_element(By.LINK_TEXT, "milk.txt")
            .get_attribute("href")
            .startswith(f"{served}/todos/")
        )

        driver.find_element(By.CSS_SELECTOR, "header button").click()
        wait_for(driver, lambda driver: driver.current_url == f"{served}/login")
        log_in(driver, served, name, "wrong")
        said = ["That is not the password of this name."]
        wait_for(driver, lambda driver: texts(driver, ".said") == said)
        log_in(driver, served, name)
        shows(driver, "Buy <b>milk</b>")
        assert complaints(driver) == []


def test_what_one_window_changes_the_other_one_shows(served, tmp_path):
    with chromium(tmp_path) as driver:
        log_in(driver, served, "eve")
        with tabs(driver, 2) as (first, second):
            for tab in (first, second):
                tab.get(served)
            wait_for(
                second, lambda tab: tab.execute_script("return document.readyState") == "complete"
            )
            add(first, "Dance")
            shows(second, "Dance")
            press(second, "Dance", ".tick")
            shows(first, "Dance", done=1)


def test_axe_finds_nothing_serious(served, tmp_path):
    with chromium(tmp_path) as driver:
        for size in (PHONE, DESKTOP):
            for theme in ("light", "dark"):
                look(driver, size, theme)
                driver.get(f"{served}/login")
                assert axe(driver) == [], (size, theme)
        log_in(driver, served, "axel")
        shows(driver)
        add(driver, "One")
        shows(driver, "One")
        add(driver, "Two")
        shows(driver, "One", "Two")
        press(driver, "Two", ".tick")
        shows(driver, "One", "Two", done=1)
        for size in (PHONE, DESKTOP):
            for theme in ("light", "dark"):
                look(driver, size, theme)
                assert axe(driver) == [], (size, theme)
