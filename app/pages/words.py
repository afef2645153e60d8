"""The words of the pages in English and Chinese -> the ones of a chosen language."""

from __future__ import annotations

from collections.abc import Mapping

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
