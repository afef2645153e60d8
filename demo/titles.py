"""The name of a picture, a subject and an angle -> a post's title, in Chinese or English.

The angle (a bargain, a day with children, a date ...) stands in the title alone: two posts with the same picture may
please different people. The recommender is told neither the angle nor the subject.
"""

from __future__ import annotations

import random
from enum import StrEnum

from demo.topics import Topic


class Angle(StrEnum):
    """What a title promises beside its subject."""

    BARGAIN = "bargain"
    FAMILY = "family"
    DATE = "date"
    QUIET = "quiet"
    NEW = "new"
    LOCAL = "local"


ANGLES: tuple[Angle, ...] = tuple(Angle)

ZH: dict[Angle, tuple[str, ...]] = {
    Angle.BARGAIN: (
        "今天半价，{verb}：{name}",
        "{name}特价，手慢无",
        "学生党也负担得起的{name}",
        "{place}{name}，第二份半价",
    ),
    Angle.FAMILY: ("周末带娃{verb}：{name}", "孩子超爱的{name}", "亲子时光｜{place}{name}", "一家人{verb}：{name}"),
    Angle.DATE: ("两个人的约会：{name}", "和TA{verb}：{name}", "浪漫一晚｜{place}{name}", "适合约会的{name}"),
    Angle.QUIET: ("一个人{verb}：{name}", "安静的午后，{name}相伴", "避开人群｜{place}{name}", "独处时间：{name}"),
    Angle.NEW: ("新店打卡：{name}", "刚刚上新｜{name}", "{place}新开的{name}", "第一个{verb}：{name}"),
    Angle.LOCAL: ("本地人才知道的{name}", "老街坊推荐：{name}", "{place}开了三十年的{name}", "周末{verb}：{name}"),
}
EN: dict[Angle, tuple[str, ...]] = {
    Angle.BARGAIN: ("Half price today: {name}", "{Name}, two for one {place}", "A bargain {name} this week"),
    Angle.FAMILY: ("{Name} with the kids", "Family weekend: {name} {place}", "Children love this {name}"),
    Angle.DATE: ("{Name} for two {place}", "Date night idea: {name}", "A romantic evening with {name}"),
    Angle.QUIET: ("A quiet hour with {name}", "{Name} away from the crowds", "Just me and the {name} {place}"),
    Angle.NEW: ("Just opened: {name} {place}", "New this week: {name}", "First look at the new {name}"),
    Angle.LOCAL: ("Fresh {name} {place}", "Locals know this {name}", "{Name}, an old favourite {place}"),
}
ZH_PLACES = ("江边", "老街", "地铁口", "巷子里", "公园旁", "夜市", "河畔", "山脚下")
EN_PLACES = (
    "near the river",
    "in the old town",
    "by the night market",
    "behind the park",
    "on the hill",
    "at the corner",
)


def zh_title(name: str, topic: Topic, *, angle: Angle, dice: random.Random) -> str:
    """A Chinese title, e.g. 周末带娃去吃：羊角面包."""
    return dice.choice(ZH[angle]).format(name=name, verb=topic.verb, place=dice.choice(ZH_PLACES))


def en_title(name: str, *, angle: Angle, dice: random.Random) -> str:
    """An English title, e.g. Fresh croissant near the river."""
    title = dice.choice(EN[angle]).format(name=name, Name=name[:1].upper() + name[1:], place=dice.choice(EN_PLACES))
    return title.strip()
