"""Text is kept byte by byte, what is no UTF-8 too: NUL, half an emoji, names of files in another encoding."""

from __future__ import annotations

import pytest

from broker_sched import Scheduler

TEXTS = {
    "nul": "a\x00b",
    "accents": "äé\u0301ß",
    "emoji": "\U0001f600 \u2708\ufe0f",
    "half an emoji": "\ud83d",
    "halves in the wrong order": "\udc00\ud800",
    "a file name that is no UTF-8": "caf\udce9.csv",
    "line separators": "a\u2028b\u2029c\x85d\r\n",
    "what means something to Redis": "{x}*?[a]\\:%s",
}


@pytest.mark.parametrize("name", TEXTS)
def test_any_text_comes_back_as_it_was_sent(scheduler: Scheduler, name: str) -> None:
    text = TEXTS[name]
    about = {"family": text, "params": {text: text}, "module": text, "owners": [text], "resources": {text: 1}}
    scheduler.update_resources(**{text: 1})
    scheduler.add_task(worker=text, task_id=text, deps=[f"dep of {text}"], **about)
    scheduler.add_task(worker=text, task_id=f"dep of {text}", status="DONE")
    work = scheduler.get_work(worker=text)
    assert (work["task_id"], work["task_family"], work["task_module"]) == (text, text, text)
    assert work["task_params"] == {text: text}
    assert scheduler.resource_list()[0]["name"] == text
    scheduler.add_task(worker=text, task_id=text, status="FAILED", expl=text)
    assert scheduler.fetch_error(task_id=text)["error"] == text
    assert scheduler.worker_list()[0]["name"] == text
    assert text in scheduler.task_search(task_str=text)["FAILED"]
