"""A reason -> one line for the reader of the feed, in English or Chinese; it never says who else it was."""

from __future__ import annotations

from app.domain import BehaviourKind
from app.recommend.request import Language, Reason, ReasonKind

TITLE_CHARACTERS = 40
_ENGLISH, _CHINESE = 0, 1
_DID: dict[BehaviourKind, tuple[str, str]] = {
    BehaviourKind.CLICK: ("opened", "看过"),
    BehaviourKind.LIKE: ("liked", "喜欢"),
    BehaviourKind.SHARE: ("shared", "分享过"),
    BehaviourKind.FAVOURITE: ("saved", "收藏过"),
    BehaviourKind.COMMENT: ("commented on", "评论过"),
}
_WHO: dict[ReasonKind, tuple[str, str]] = {
    ReasonKind.OWN: ("you", "你"),
    ReasonKind.SESSION: ("you just", "你刚刚"),
    ReasonKind.SIMILAR_USER: ("people with your taste", "与你口味相近的人"),
    ReasonKind.SIMILAR_ATTRIBUTES: ("people like you", "与你相似的人"),
}
_NAMED = ("Because {who} {did} “{title}”", "因为{who}{did}《{title}》")
_ITSELF = ("Because {who} {did} it", "因为{who}{did}这篇")
_UNNAMED = ("Because of a post that {who} {did}", "因为{who}{did}的一篇内容")  # it was hidden or deleted since
_WITHOUT_REFERENCE: dict[ReasonKind, tuple[str, str]] = {
    ReasonKind.POPULAR: ("Popular right now", "大家都在看"),
    ReasonKind.FRESH: ("New here", "新鲜发布"),
    ReasonKind.PINNED: ("Picked for everybody", "编辑精选"),
}


def language_of(chosen: str | None, accepted: str | None) -> Language:
    """The language asked for by name, else the one that Accept-Language puts first, else English."""
    if chosen in tuple(Language):
        return Language(chosen)
    return Language.CHINESE if (accepted or "").strip().lower().startswith("zh") else Language.ENGLISH


def reason_text(reason: Reason, *, post_id: str, title: str | None, language: Language) -> str:
    """Why the post is there; `title` is that of the reference, None where it may not be named."""
    column = _CHINESE if language is Language.CHINESE else _ENGLISH
    if reason.kind in _WITHOUT_REFERENCE:
        return _WITHOUT_REFERENCE[reason.kind][column]
    who, did = _WHO[reason.kind][column], _DID[reason.behaviour or BehaviourKind.CLICK][column]
    if reason.reference_post_id == post_id:
        return _ITSELF[column].format(who=who, did=did)
    if title is None:
        return _UNNAMED[column].format(who=who, did=did)
    shown = title if len(title) <= TITLE_CHARACTERS else title[: TITLE_CHARACTERS - 1] + "…"
    return _NAMED[column].format(who=who, did=did, title=shown)
