"""The subjects of the demo catalogue -> which emoji belong to each, and the Chinese verb its titles use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topic:
    """A group of pictures that the same people like; hidden from the recommender, which sees pixels and titles only."""

    key: str
    category: str
    zh: str  # its Chinese name, used as a tag
    verb: str  # what one does with it, for Chinese titles
    emoji: tuple[str, ...]


def _topic(key: str, category: str, *, zh: str, verb: str, emoji: str) -> Topic:
    return Topic(key, category, zh, verb, tuple(emoji.split()))


TOPICS: tuple[Topic, ...] = (
    _topic(
        "fruit", "food", zh="水果", verb="去摘", emoji="🍇 🍈 🍉 🍊 🍋 🍋‍🟩 🍌 🍍 🥭 🍎 🍏 🍐 🍑 🍒 🍓 🫐 🥝 🥥 🍅 🫒"
    ),
    _topic(
        "greens",
        "food",
        zh="菜市场",
        verb="去买",
        emoji="🥑 🍆 🥔 🥕 🌽 🌶️ 🫑 🥒 🥬 🥦 🧄 🧅 🥜 🫘 🌰 🫚 🫛 🍄 🍄‍🟫 🫜 🥗",
    ),
    _topic("bakery", "food", zh="烘焙", verb="去吃", emoji="🍞 🥐 🥖 🫓 🥨 🥯 🥞 🧇 🥧 🍪 🍩 🥮 🧈 🥠"),
    _topic("sweets", "food", zh="甜品", verb="去吃", emoji="🍰 🧁 🎂 🍦 🍧 🍨 🍫 🍬 🍭 🍮 🍯 🍡"),
    _topic("fast_food", "food", zh="快餐", verb="去吃", emoji="🍔 🍟 🍕 🌭 🥪 🌮 🌯 🫔 🥙 🧆 🍿 🥓 🍳 🥚 🧀 🥫"),
    _topic(
        "noodles_rice",
        "food",
        zh="面与饭",
        verb="去吃",
        emoji="🍱 🍘 🍙 🍚 🍛 🍜 🍝 🍠 🍢 🍣 🍤 🍥 🥟 🥡 🍲 🥣 🥢 🥘 🫕",
    ),
    _topic("grill", "food", zh="烤肉海鲜", verb="去吃", emoji="🍖 🍗 🥩 🦀 🦞 🦐 🦑 🦪"),
    _topic("coffee_tea", "drink", zh="咖啡茶饮", verb="去喝", emoji="☕ 🫖 🍵 🥛 🧋 🥤 🧃 🧉 🫗 🧊"),
    _topic("bar", "drink", zh="小酒馆", verb="去喝", emoji="🍶 🍾 🍷 🍸 🍹 🍺 🍻 🥂 🥃"),
    _topic(
        "ball_games",
        "leisure",
        zh="球类",
        verb="去打",
        emoji="⚽ ⚾ 🥎 🏀 🏐 🏈 🏉 🎾 🥏 🎳 🏏 🏑 🏒 🥍 🏓 🏸 🎱 ⛳ 🥅 🏌️",
    ),
    _topic(
        "fitness",
        "leisure",
        zh="健身",
        verb="去练",
        emoji="🥊 🥋 🏋️ 🏋️‍♀️ 🤸 🤼 🤺 🏃 🏃‍♀️ 🚴 🚵 🧘 🧘‍♀️ 🤾 🏆 🥇 🏅 🎽 🧗 🏹",
    ),
    _topic(
        "water_snow", "leisure", zh="水上冰雪", verb="去玩", emoji="🏊 🏄 🏄‍♀️ 🚣 🤽 🤿 🎣 🛶 🏂 ⛷️ 🎿 🛷 🥌 ⛸️ 🛟 🪂 🩱"
    ),
    _topic("games", "leisure", zh="桌游电玩", verb="去玩", emoji="🎮 🕹️ 🎲 ♟️ 🧩 🀄 🎴 🃏 🎯 🪀 🪁 🎰 🔫 🪅 🧸 🪆 🪄 🔮"),
    _topic("crafts", "leisure", zh="手作艺术", verb="去学", emoji="🎨 🖼️ 🎭 🖌️ 🖍️ 🧵 🧶 🪡 📷 📸 🎞️ 🪢 ✂️ 🧑‍🎨 👩‍🎨 ✏️ 🖋️ 🏺"),
    _topic(
        "music",
        "leisure",
        zh="音乐",
        verb="去听",
        emoji="🎤 🎧 🎼 🎵 🎶 🎷 🪗 🎸 🎹 🎺 🎻 🪕 🥁 🪘 🪇 🪈 🪉 🎙️ 📻 🧑‍🎤 👩‍🎤 👨‍🎤",
    ),
    _topic(
        "film_books", "leisure", zh="电影书店", verb="去看", emoji="🎬 🎥 🎦 📽️ 📚 📖 📕 📗 📘 📙 📓 📔 📰 🎟️ 🎫 📺 📼"
    ),
    _topic(
        "festivals",
        "leisure",
        zh="节日",
        verb="去看",
        emoji="🎃 🎄 🎆 🎇 🧨 🎈 🎉 🎊 🎋 🎍 🎎 🎏 🎐 🎑 🧧 🎁 🏮 🪔 🪭 🎅",
    ),
    _topic("fair", "leisure", zh="游乐园", verb="去玩", emoji="🎠 🎡 🎢 🎪 🛝 💃 🕺 🪩 🤹 🤡 🎩"),
    _topic("wild_places", "travel", zh="山野", verb="去看", emoji="🏔️ ⛰️ 🌋 🗻 🏕️ 🏖️ 🏜️ 🏝️ 🏞️ ⛺ 🌄 🌅 🌊 🌈 🌌 🪨 🌠"),
    _topic("sights", "travel", zh="名胜", verb="去看", emoji="🏟️ 🏛️ 🏯 🏰 🗼 🗽 ⛩️ 🕌 🛕 ⛪ 🌉 🌃 🏙️ 🌆 🌇 🌁 ♨️ ⛲ 🗿 💒"),
    _topic("stays", "travel", zh="民宿酒店", verb="去住", emoji="🏨 🏠 🏡 🏘️ 🛖 🏚️ 🛏️ 🛋️ 🛎️ 🧳 🛌 🔑 🗝️"),
    _topic(
        "rail_bus",
        "travel",
        zh="火车巴士",
        verb="去坐",
        emoji="🚂 🚃 🚄 🚅 🚆 🚇 🚈 🚉 🚊 🚝 🚞 🚋 🚌 🚍 🚎 🚐 🛤️ 🚏 🚟 🚠 🚡",
    ),
    _topic("road", "travel", zh="自驾骑行", verb="去开", emoji="🚗 🚘 🚙 🛻 🚕 🚖 🏎️ 🏍️ 🛵 🛺 🚲 🛴 🛹 🛼 🛣️ ⛽ 🚚 🚜 🛞"),
    _topic("sea_air", "travel", zh="海上空中", verb="去坐", emoji="⛵ 🚤 🛳️ ⛴️ 🛥️ 🚢 ⚓ ✈️ 🛩️ 🛫 🛬 🚁 🚀 🛰️ 🛸 💺 🧭 🗺️"),
    _topic(
        "make_up",
        "beauty",
        zh="美妆护理",
        verb="去试",
        emoji="💄 💅 💋 🪞 🧴 🧼 💆 💆‍♀️ 💆‍♂️ 💇 💇‍♀️ 💇‍♂️ 🧖 🧖‍♀️ 🪮 🪒 🪥 🫧 💈 🛁",
    ),
    _topic("clothes", "beauty", zh="穿搭", verb="去挑", emoji="👗 👘 🥻 👚 👕 👖 👔 🧥 🧣 🧤 🧦 🩳 👙 🥼"),
    _topic("shoes_bags", "beauty", zh="鞋包", verb="去挑", emoji="👟 👠 👡 🩰 👢 👞 🥾 🥿 🩴 👜 👛 👝 🎒 💼 🛍️"),
    _topic("jewellery", "beauty", zh="配饰", verb="去挑", emoji="👑 👒 🧢 👓 🕶️ 🥽 💍 💎 ⌚ 📿 🌂 ☂️ 🎀 🎓"),
    _topic("cats_dogs", "nature", zh="猫狗", verb="去撸", emoji="🐶 🐕 🦮 🐕‍🦺 🐩 🐱 🐈 🐈‍⬛ 🐾 😺 😸 😻 🦴"),
    _topic(
        "small_animals",
        "nature",
        zh="小动物",
        verb="去看",
        emoji="🐭 🐁 🐹 🐰 🐇 🐿️ 🦔 🐢 🦎 🐣 🐤 🐥 🐦 🦜 🐸 🐌 🦋 🐞",
    ),
    _topic(
        "farm", "nature", zh="农场", verb="去喂", emoji="🐴 🐎 🫏 🐮 🐂 🐃 🐄 🐷 🐖 🐗 🐏 🐑 🐐 🐔 🐓 🦃 🦆 🪿 🦙 🐝"
    ),
    _topic(
        "zoo",
        "nature",
        zh="动物园",
        verb="去看",
        emoji="🐵 🐒 🦍 🦧 🦊 🦝 🦁 🐯 🐅 🐆 🫎 🦓 🦌 🦬 🐪 🐫 🦒 🐘 🦏 🦛 🐻 🐻‍❄️ 🐨 🐼 🦥 🦦 🦨 🦘 🦡 🐺",
    ),
    _topic(
        "sea_birds",
        "nature",
        zh="海洋与飞鸟",
        verb="去看",
        emoji="🐳 🐋 🐬 🦭 🐟 🐠 🐡 🦈 🐙 🐚 🪸 🪼 🦩 🦚 🦢 🦉 🦅 🕊️ 🐧 🐊",
    ),
    _topic("flowers", "nature", zh="花", verb="去看", emoji="💐 🌸 💮 🪷 🏵️ 🌹 🥀 🌺 🌻 🌼 🌷 🪻"),
    _topic("plants", "nature", zh="植物", verb="去养", emoji="🌱 🪴 🌲 🌳 🌴 🌵 🌾 🌿 ☘️ 🍀 🍁 🍂 🍃 🪹 🪺 🪵 🪾"),
    _topic("home", "home", zh="家居", verb="去淘", emoji="🕯️ 🪑 🧺 🧹 🪣 🧽 🧻 💡 🔦 🕰️ ⏰ 🚪 🪟 🫙 🥄 🍽️ 🚿"),
    _topic("gadgets", "home", zh="数码", verb="去试", emoji="📱 💻 🖥️ ⌨️ 🖱️ 📹 🔋 🔌 🖨️ 💾 🔭 🔬 📡 🤖 ☎️ 💿"),
    _topic("workshop", "home", zh="动手", verb="去学", emoji="🔧 🔨 🪛 🪚 🧰 🪜 🧲 🔩 ⚙️ ⚒️ 🛠️ ⛏️ 🪝 🧱"),
)
