"""The words of the pages in English and Chinese -> the ones of a chosen language.

The feed's words have names; the console's are their English, with the Chinese in `chinese.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Protocol

CHINESE = Path(__file__).parent / "chinese.json"
# What the console calls what the code names.
NAMES: Mapping[str, str] = {
    "origin_start": "the pretrained start",
    "origin_trained": "training on the log",
    "origin_reindexed": "the network before, posts encoded anew",
    "whose_own": "the user's own act",
    "whose_session": "the user's running session",
    "whose_similar_user": "lent by a user of similar likes:",
    "whose_similar_attributes": "lent by a user of similar attributes:",
    "peer_similar_user": "has liked {percent} % of what this user has liked lately",
    "peer_similar_attributes": "shares {percent} % of this user's attributes",
    "favourite": "save",
    "no-picture": "without a picture",
    "too_large": "too large",
    "stored": "there",
    "none": "none",
    "train": "training",
    "users": "user records",
    "user_traits": "attributes that find similar users",
    "rejections": "posts that were not of interest",
    "peers": "links to similar users",
    "authored_posts": "posts that have no author now",
    "dead_letters": "rejected items",
    "rejected_lines": "lines of rejects files",
    "cache_entries": "entries of the cache",
}


class Translate(Protocol):
    """English -> the same in one language, with values put into its {places}."""

    def __call__(self, english: str, /, **values: object) -> str:
        """The words."""
        ...


_WORDS: dict[str, tuple[str, str]] = {
    "strapline": ("posts of picture + title, recommended from what people do", "图文组合推荐：从人们的行为中学习"),
    "simulated": (
        "The people on this page are simulated, and so is what they do. The pictures and their names are real.",
        "本页的用户及其行为均为模拟；图片与名称是真实的。",
    ),
    "viewing_as": ("Viewing as", "当前身份"),
    "new_visitor": ("New visitor", "新访客"),
    "you": ("You, a new visitor", "你（新访客）"),
    "show": ("Show", "切换"),
    "refresh": ("Refresh the feed", "刷新推荐"),
    "more": ("Load more", "加载更多"),
    "all": ("All", "全部"),
    "lately": ("What this person did lately", "最近的行为"),
    "nothing_yet": ("Nothing yet. Like something, then refresh.", "还没有行为。点个赞，再刷新试试。"),
    "end": ("That is all for now.", "暂时没有更多了。"),
    "noted": ("Noted. Refresh to see the feed turn.", "已记录，刷新看看推荐的变化。"),
    "turned": ("A newly trained generation is serving now.", "新训练的一代模型已上线。"),
    "failed": ("That did not arrive. Try again in a moment.", "没有送达，请稍后再试。"),
    "serving": ("Serving", "当前模型"),
    "pretrained": ("pretrained start, not yet trained on this log", "预训练起点，尚未用本日志训练"),
    "trained": ("trained on this log", "已用本日志训练"),
    "starting": (
        "The first index is being built. This page looks again by itself.",
        "正在建立第一个索引，页面会自动刷新。",
    ),
    "credit": (
        "Pictures: OpenMoji, the open-source emoji and icon project, licence",
        "图片：OpenMoji 开源图标项目，许可",
    ),
    "credit_changes": ("backgrounds added", "背景为后加"),
    "names_credit": ("Names: Unicode CLDR", "名称：Unicode CLDR"),
    "chance": ("chance of a click", "点击概率"),
    "not_interested": ("Not interested", "不感兴趣"),
    "gone": ("Noted: no more of this, and less of what is like it.", "已记录：不再推荐它，也会少推荐类似的。"),
    "where": ("Where", "地点"),
    "everywhere": ("everywhere", "不限地点"),
    "within": ("within {km} km of its centre", "距市中心 {km} 公里内"),
    "live": ("Watch it learn", "看它学习"),
    "live_simulated": (
        "Exposures and acts come from simulated people and from whoever presses the buttons here; counts, training and"
        " swaps are real.",
        "曝光与行为来自模拟用户和在此点按的人；计数、训练与换代都是真实的。",
    ),
    "live_exposures": ("exposures in the log", "日志中的曝光"),
    "live_acts": ("acts in the log", "日志中的行为"),
    "live_minute": ("{count} in the last minute", "最近一分钟 {count} 条"),
    "live_clicks": ("clicks per exposure, as they arrived in the last 20 minutes", "最近 20 分钟每次曝光的点击"),
    "live_training": ("Training now", "正在训练"),
    "live_reindex": ("Encoding all posts anew", "正在重新编码全部帖子"),
    "live_waiting": (
        "Learning goes on when {count} more exposures have arrived, or at the latest after a pause.",
        "再到 {count} 条曝光就继续学习，最迟在间隔之后。",
    ),
    "live_ready": ("Enough has arrived: training begins in a moment.", "曝光已足够，训练即将开始。"),
    "live_since": ("serves since {time}", "{time}前上线"),
    "live_recall": (
        "finds {trained} % of what people act on later among its first ten; before any training {start} %",
        "前十中包含人们之后会互动的 {trained} %；训练前为 {start} %",
    ),
    "close": ("Close", "关闭"),
    # behaviours
    "click": ("Open", "查看"),
    "like": ("Like", "喜欢"),
    "share": ("Share", "分享"),
    "favourite": ("Save", "收藏"),
    "comment": ("Comment", "评论"),
    "did_click": ("opened", "看过"),
    "did_like": ("liked", "喜欢"),
    "did_share": ("shared", "分享"),
    "did_favourite": ("saved", "收藏"),
    "did_comment": ("commented on", "评论"),
    # reasons; {did} is one of the words above, {title} the reference post's title
    "reason_own": ("because you {did} «{title}»", "因为你{did}了「{title}」"),
    "reason_session": ("because you just {did} «{title}»", "因为你刚刚{did}了「{title}」"),
    "reason_similar_user": ("people who like what you like {did} «{title}»", "和你喜好相近的人{did}了「{title}」"),
    "reason_similar_attributes": (
        "people with a profile like yours {did} «{title}»",
        "和你资料相近的人{did}了「{title}」",
    ),
    # the reference is the recommended post itself
    "same_similar_user": ("people who like what you like {did} it", "和你喜好相近的人{did}了它"),
    "same_similar_attributes": ("people with a profile like yours {did} it", "和你资料相近的人{did}了它"),
    "reason_popular": ("popular with everybody", "大家都在看"),
    "reason_fresh": ("fresh: published lately", "新发布"),
    "reason_pinned": ("picked for everybody", "编辑精选"),
    # occupations of the simulated people
    "student": ("student", "学生"),
    "engineer": ("engineer", "工程师"),
    "designer": ("designer", "设计师"),
    "teacher": ("teacher", "教师"),
    "nurse": ("nurse", "护士"),
    "chef": ("chef", "厨师"),
    "driver": ("driver", "司机"),
    "manager": ("manager", "经理"),
    "retired": ("retired", "退休"),
    "parent": ("parent", "全职父母"),
    # categories of the demo catalogue
    "food": ("Food", "美食"),
    "drink": ("Drinks", "饮品"),
    "leisure": ("Leisure", "休闲"),
    "travel": ("Travel", "出行"),
    "beauty": ("Beauty", "美妆穿搭"),
    "nature": ("Nature", "自然宠物"),
    "home": ("Home", "生活"),
}


def words_of(language: str) -> Mapping[str, str]:
    """Every word in one language; English for an unknown one."""
    column = 1 if language == "zh" else 0
    return {key: both[column] for key, both in _WORDS.items()}


@cache
def chinese() -> Mapping[str, str]:
    """English -> Chinese, of the console."""
    words: dict[str, str] = json.loads(CHINESE.read_text(encoding="utf-8"))
    return words


@cache
def translator(language: str) -> Translate:
    """Into Chinese where it is wanted and known; else the English itself."""
    known = chinese() if language == "zh" else {}

    def translate(english: str, /, **values: object) -> str:
        english = NAMES.get(english, english)
        words = known.get(english, english)
        return words.format(**values) if values else words

    return translate
