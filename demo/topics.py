"""The subjects of the demo catalogue -> which emoji belong to each, and the Chinese verb its titles use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topic:
    """A group of pictures that the same people like; hidden from the recommender, which sees pixels and titles only."""

    key: str
    category: str
    group: str  # of topics that go together for people, which is not the category
    zh: str  # its Chinese name, used as a tag
    verb: str  # what one does with it, for Chinese titles
    emoji: tuple[str, ...]


def _topic(key: str, category: str, *, group: str, zh: str, verb: str, emoji: str) -> Topic:
    return Topic(key, category, group, zh, verb, tuple(emoji.split()))


TOPICS: tuple[Topic, ...] = (
    _topic(
        "fruit",
        "food",
        group="sweet",
        zh="水果",
        verb="去摘",
        emoji="🍇 🍈 🍉 🍊 🍋 🍋‍🟩 🍌 🍍 🥭 🍎 🍏 🍐 🍑 🍒 🍓 🫐 🥝 🥥 🍅 🫒",
    ),
    _topic(
        "greens",
        "food",
        group="savoury",
        zh="菜市场",
        verb="去买",
        emoji="🥑 🍆 🥔 🥕 🌽 🌶️ 🫑 🥒 🥬 🥦 🧄 🧅 🥜 🫘 🌰 🫚 🫛 🍄 🍄‍🟫 🫜 🥗",
    ),
    _topic("bakery", "food", group="sweet", zh="烘焙", verb="去吃", emoji="🍞 🥐 🥖 🫓 🥨 🥯 🥞 🧇 🥧 🍪 🍩 🥮 🧈 🥠"),
    _topic("sweets", "food", group="sweet", zh="甜品", verb="去吃", emoji="🍰 🧁 🎂 🍦 🍧 🍨 🍫 🍬 🍭 🍮 🍯 🍡"),
    _topic(
        "fast_food",
        "food",
        group="savoury",
        zh="快餐",
        verb="去吃",
        emoji="🍔 🍟 🍕 🌭 🥪 🌮 🌯 🫔 🥙 🧆 🍿 🥓 🍳 🥚 🧀 🥫",
    ),
    _topic(
        "noodles_rice",
        "food",
        group="savoury",
        zh="面与饭",
        verb="去吃",
        emoji="🍱 🍘 🍙 🍚 🍛 🍜 🍝 🍠 🍢 🍣 🍤 🍥 🥟 🥡 🍲 🥣 🥢 🥘 🫕",
    ),
    _topic("grill", "food", group="savoury", zh="烤肉海鲜", verb="去吃", emoji="🍖 🍗 🥩 🦀 🦞 🦐 🦑 🦪"),
    _topic("coffee_tea", "drink", group="sweet", zh="咖啡茶饮", verb="去喝", emoji="☕ 🫖 🍵 🥛 🧋 🥤 🧃 🧉 🫗 🧊"),
    _topic("bar", "drink", group="savoury", zh="小酒馆", verb="去喝", emoji="🍶 🍾 🍷 🍸 🍹 🍺 🍻 🥂 🥃"),
    _topic(
        "ball_games",
        "leisure",
        group="sport",
        zh="球类",
        verb="去打",
        emoji="⚽ ⚾ 🥎 🏀 🏐 🏈 🏉 🎾 🥏 🎳 🏏 🏑 🏒 🥍 🏓 🏸 🎱 ⛳ 🥅 🏌️",
    ),
    _topic(
        "fitness",
        "leisure",
        group="sport",
        zh="健身",
        verb="去练",
        emoji="🥊 🥋 🏋️ 🏋️‍♀️ 🤸 🤼 🤺 🏃 🏃‍♀️ 🚴 🚵 🧘 🧘‍♀️ 🤾 🏆 🥇 🏅 🎽 🧗 🏹",
    ),
    _topic(
        "water_snow",
        "leisure",
        group="sport",
        zh="水上冰雪",
        verb="去玩",
        emoji="🏊 🏄 🏄‍♀️ 🚣 🤽 🤿 🎣 🛶 🏂 ⛷️ 🎿 🛷 🥌 ⛸️ 🛟 🪂 🩱",
    ),
    _topic(
        "games",
        "leisure",
        group="play",
        zh="桌游电玩",
        verb="去玩",
        emoji="🎮 🕹️ 🎲 ♟️ 🧩 🀄 🎴 🃏 🎯 🪀 🪁 🎰 🪅 🧸 🪆 🪄 🔮",
    ),
    _topic(
        "crafts",
        "leisure",
        group="culture",
        zh="手作艺术",
        verb="去学",
        emoji="🎨 🖼️ 🎭 🖌️ 🖍️ 🧵 🧶 🪡 📷 📸 🎞️ 🪢 ✂️ 🧑‍🎨 👩‍🎨 ✏️ 🖋️ 🏺",
    ),
    _topic(
        "music",
        "leisure",
        group="culture",
        zh="音乐",
        verb="去听",
        emoji="🎤 🎧 🎼 🎵 🎶 🎷 🪗 🎸 🎹 🎺 🎻 🪕 🥁 🪘 🪇 🪈 🪉 🎙️ 📻 🧑‍🎤 👩‍🎤 👨‍🎤",
    ),
    _topic(
        "film_books",
        "leisure",
        group="culture",
        zh="电影书店",
        verb="去看",
        emoji="🎬 🎥 🎦 📽️ 📚 📖 📕 📗 📘 📙 📓 📔 📰 🎟️ 🎫 📺 📼",
    ),
    _topic(
        "festivals",
        "leisure",
        group="play",
        zh="节日",
        verb="去看",
        emoji="🎃 🎄 🎆 🎇 🧨 🎈 🎉 🎊 🎋 🎍 🎎 🎏 🎐 🎑 🧧 🎁 🏮 🪔 🪭 🎅",
    ),
    _topic("fair", "leisure", group="play", zh="游乐园", verb="去玩", emoji="🎠 🎡 🎢 🎪 🛝 💃 🕺 🪩 🤹 🤡 🎩"),
    _topic(
        "wild_places",
        "travel",
        group="away",
        zh="山野",
        verb="去看",
        emoji="🏔️ ⛰️ 🌋 🗻 🏕️ 🏖️ 🏜️ 🏝️ 🏞️ ⛺ 🌄 🌅 🌊 🌈 🌌 🪨 🌠",
    ),
    _topic(
        "sights",
        "travel",
        group="city",
        zh="名胜",
        verb="去看",
        emoji="🏟️ 🏛️ 🏯 🏰 🗼 🗽 ⛩️ 🕌 🛕 ⛪ 🌉 🌃 🏙️ 🌆 🌇 🌁 ♨️ ⛲ 🗿 💒",
    ),
    _topic("stays", "travel", group="city", zh="民宿酒店", verb="去住", emoji="🏨 🏠 🏡 🏘️ 🛖 🏚️ 🛏️ 🛋️ 🛎️ 🧳 🛌 🔑 🗝️"),
    _topic(
        "rail_bus",
        "travel",
        group="city",
        zh="火车巴士",
        verb="去坐",
        emoji="🚂 🚃 🚄 🚅 🚆 🚇 🚈 🚉 🚊 🚝 🚞 🚋 🚌 🚍 🚎 🚐 🛤️ 🚏 🚟 🚠 🚡",
    ),
    _topic(
        "road",
        "travel",
        group="away",
        zh="自驾骑行",
        verb="去开",
        emoji="🚗 🚘 🚙 🛻 🚕 🚖 🏎️ 🏍️ 🛵 🛺 🚲 🛴 🛹 🛼 🛣️ ⛽ 🚚 🚜 🛞",
    ),
    _topic(
        "sea_air",
        "travel",
        group="away",
        zh="海上空中",
        verb="去坐",
        emoji="⛵ 🚤 🛳️ ⛴️ 🛥️ 🚢 ⚓ ✈️ 🛩️ 🛫 🛬 🚁 🚀 🛰️ 🛸 💺 🧭 🗺️",
    ),
    _topic(
        "make_up",
        "beauty",
        group="style",
        zh="美妆护理",
        verb="去试",
        emoji="💄 💅 💋 🪞 🧴 🧼 💆 💆‍♀️ 💆‍♂️ 💇 💇‍♀️ 💇‍♂️ 🧖 🧖‍♀️ 🪮 🪒 🪥 🫧 💈 🛁",
    ),
    _topic(
        "clothes", "beauty", group="style", zh="穿搭", verb="去挑", emoji="👗 👘 🥻 👚 👕 👖 👔 🧥 🧣 🧤 🧦 🩳 👙 🥼"
    ),
    _topic(
        "shoes_bags",
        "beauty",
        group="style",
        zh="鞋包",
        verb="去挑",
        emoji="👟 👠 👡 🩰 👢 👞 🥾 🥿 🩴 👜 👛 👝 🎒 💼 🛍️",
    ),
    _topic(
        "jewellery", "beauty", group="style", zh="配饰", verb="去挑", emoji="👑 👒 🧢 👓 🕶️ 🥽 💍 💎 ⌚ 📿 🌂 ☂️ 🎀 🎓"
    ),
    _topic(
        "cats_dogs", "nature", group="pets", zh="猫狗", verb="去撸", emoji="🐶 🐕 🦮 🐕‍🦺 🐩 🐱 🐈 🐈‍⬛ 🐾 😺 😸 😻 🦴"
    ),
    _topic(
        "small_animals",
        "nature",
        group="pets",
        zh="小动物",
        verb="去看",
        emoji="🐭 🐁 🐹 🐰 🐇 🐿️ 🦔 🐢 🦎 🐣 🐤 🐥 🐦 🦜 🐸 🐌 🦋 🐞",
    ),
    _topic(
        "farm",
        "nature",
        group="pets",
        zh="农场",
        verb="去喂",
        emoji="🐴 🐎 🫏 🐮 🐂 🐃 🐄 🐷 🐖 🐗 🐏 🐑 🐐 🐔 🐓 🦃 🦆 🪿 🦙 🐝",
    ),
    _topic(
        "zoo",
        "nature",
        group="wildlife",
        zh="动物园",
        verb="去看",
        emoji="🐵 🐒 🦍 🦧 🦊 🦝 🦁 🐯 🐅 🐆 🫎 🦓 🦌 🦬 🐪 🐫 🦒 🐘 🦏 🦛 🐻 🐻‍❄️ 🐨 🐼 🦥 🦦 🦨 🦘 🦡 🐺",
    ),
    _topic(
        "sea_birds",
        "nature",
        group="wildlife",
        zh="海洋与飞鸟",
        verb="去看",
        emoji="🐳 🐋 🐬 🦭 🐟 🐠 🐡 🦈 🐙 🐚 🪸 🪼 🦩 🦚 🦢 🦉 🦅 🕊️ 🐧 🐊",
    ),
    _topic("flowers", "nature", group="green", zh="花", verb="去看", emoji="💐 🌸 💮 🪷 🏵️ 🌹 🥀 🌺 🌻 🌼 🌷 🪻"),
    _topic(
        "plants",
        "nature",
        group="green",
        zh="植物",
        verb="去养",
        emoji="🌱 🪴 🌲 🌳 🌴 🌵 🌾 🌿 ☘️ 🍀 🍁 🍂 🍃 🪹 🪺 🪵 🪾",
    ),
    _topic(
        "home", "home", group="making", zh="家居", verb="去淘", emoji="🕯️ 🪑 🧺 🧹 🪣 🧽 🧻 💡 🔦 🕰️ ⏰ 🚪 🪟 🫙 🥄 🍽️ 🚿"
    ),
    _topic(
        "gadgets", "home", group="making", zh="数码", verb="去试", emoji="📱 💻 🖥️ ⌨️ 🖱️ 📹 🔋 🔌 🖨️ 💾 🔭 🔬 📡 🤖 ☎️ 💿"
    ),
    _topic("workshop", "home", group="making", zh="动手", verb="去学", emoji="🔧 🔨 🪛 🪚 🧰 🪜 🧲 🔩 ⚙️ ⚒️ 🛠️ ⛏️ 🪝 🧱"),
)
