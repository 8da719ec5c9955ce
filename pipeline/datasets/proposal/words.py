"""What the names of columns say: the words in them, and what such words usually mean in logs of impressions."""

from __future__ import annotations

import functools
import re
import unicodedata
from itertools import pairwise

_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_A-Za-z]+")


_ACCENTS = re.compile("[\u0300-\u036f]")


@functools.lru_cache(maxsize=10_000)
def words(name: str) -> tuple[str, ...]:
    """The words of a name in lower case, without accents: `movieId` and `movie_id` are (movie, id).

    >>> words("siteSection2"), words("posición")
    (('site', 'section', '2'), ('posicion',))
    """
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", name))
    return tuple(word for part in _PARTS.findall(plain) for word in _without_id(part.lower()))


def _without_id(word: str) -> tuple[str, ...]:
    """`visitorid` is `visitor` and `id`, as far as a word for who or what is in it.

    >>> _without_id("itemids"), _without_id("items"), _without_id("paid")
    (('item', 'id'), ('items',), ('paid',))
    """
    single = word.removesuffix("s")
    before = single.removesuffix("id")
    known = single != before and any(
        before in vocabulary for vocabulary in (USERS, WEAK_USERS, ITEMS, AUTHORS)
    )
    return (before, "id") if known and before else (word,)


def has(name: str, vocabulary: frozenset[str]) -> bool:
    """Whether a word of the name, or its plural, is in the vocabulary."""
    return any(word in vocabulary or word.removesuffix("s") in vocabulary for word in words(name))


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


USERS = _set(
    "user usr uid userid customer cust visitor member viewer client account person player listener reader buyer "
    "subscriber passenger guest consumer shopper reviewer traveller traveler rider student patient"
)
WEAK_USERS = _set("session cookie device visit fingerprint browser")
ITEMS = _set(
    "item itemid iid video movie film product prod sku article news ad advert creative track song music book game doc "
    "document content post story asin listing offer hotel recipe photo image episode show podcast clip goods job "
    "title restaurant business poi adgroup adid adv advert flight trip property prop apartment accommodation "
    "destination"
)
# What an identifier may be of that comes once.
REQUESTS = _set(
    "request req search srch impression imp query log row trace auction bid order transaction page ip zip"
)
AUTHORS = _set(
    "author creator seller brand artist publisher director vendor uploader advertiser merchant channelid owner maker "
    "designer label_owner studio host"
)
IDENTIFIERS = _set(
    "id ids uuid guid hash key uid pk no num_id code sku asin gtin ean upc isbn barcode ip phone zip postcode imei"
)
# Domains: the first words are places where impressions happen; the others also describe users or machines.
DOMAINS = (
    _set("domain subdomain scene scenario tab surface placement widget module shelf carousel"),
    _set("section channel slot feed page webpage site website subsite zone vertical"),
    _set("market country tenant store marketplace locale"),
)
WEAK_DOMAINS = (
    _set("platform app device os client source referrer"),
    _set("region city state area segment occupation cohort group"),
    _set("category genre type class department"),
)
# Clicks, in the languages of many logs, without accents.
_CLICKS = (
    "click clicked clicks clk opened tapped clic clics clique cliques cliquee clicou clicado clicada cliqueado "
    "cliccato klick klicks geklickt angeklickt klik kliks geklikt aangeklikt klikniecie klikniecia клик клики "
    "点击 是否点击 クリック"
)
# Labels, the most telling words first.
LABELS = (
    _set("label target y outcome"),
    _set(_CLICKS),
    _set(
        "purchase purchased buy bought trade traded convert converted conversion order ordered booked sold install "
        "installed booking"
    ),
    _set(
        "like liked watched viewed played listened read finish finished completed response responded engaged "
        "engagement interested"
    ),
    _set("view long save saved share shared follow followed cart favourite favorite"),
)
RATINGS = _set("rating stars star score rate rated grade overall")
NEGATIONS = _set("no not non none never without un kein keine nicht pas sans")
# Pairs of texts that answer a question.
ANSWERS = tuple(
    map(
        _set,
        (
            "yes no",
            "y n",
            "true false",
            "t f",
            "ja nein",
            "j n",
            "oui non",
            "si no",
            "s n",
            "o n",
            "v f",
            "sim não",
            "sim nao",
            "tak nie",
            "ano ne",
            "sí no",
            "да нет",
            "是 否",
        ),
    )
)
EVENTS = _set("event action behavior behaviour interaction feedback type")
POSITIVE_EVENTS = (
    _set("purchase purchased buy bought order ordered convert converted conversion transaction sale"),
    _set(f"{_CLICKS} open"),
    _set("like liked yes true y t positive pos install ja j oui o si sim s v da tak ano да 是"),
)
# What users do once they have seen the item.
AFTER = _set(
    f"{_CLICKS} like liked dislike hate follow followed comment commented forward share "
    "shared reply dwell watch watched watching play played stay rating rated stars purchase purchased bought buy order "
    "ordered cart convert converted conversion revenue finish finished complete completed completion skip skipped "
    "scroll reaction feedback install installed save saved fav favorite favourite favorited collect collected response "
    "listen listened read enter entered subscribe subscribed report reported block blocked refund returned wishlist "
    "spent booked engaged engagement viewed viewtime timespent watchtime playtime dwelltime "
    "bookmark bookmarked interested retweet retweeted repost reposted reward outcome helpful useful "
    "funny cool vote upvote downvote"
)
# Two words that together are a time spent.
SPENT = frozenset(
    (spent, unit)
    for spent in ("active", "view", "visible", "stay")
    for unit in ("time", "duration", "dur", "seconds", "sec", "secs", "ms")
) | {("time", "on")}
LONG_VIEW = _set("long_view longview")
# What was done before the impression, though the rest of the name says what is done after one.
BEFORE = _set(
    "history hist sequence seq past previous prev prior last recent recently before earlier ago lifetime historical"
)
_WINDOW = re.compile(r"\d+(?:d|h|w|m|days?|hours?|weeks?|months?)$|(?:d|h|w)\d+$")
LENGTHS = _set("duration dur length runtime total")
PLAYED = _set("play played watch watched watching listen listened view viewed dwell read")
NUMBERS = _set(
    "count cnt num number numerical numeric price amount age days day duration dur length size width height score rate "
    "ratio lat lon lng "
    "latitude longitude year weight qty quantity ms sec seconds second minutes minute hours distance income balance "
    "total sum avg mean max min percent pct popularity budget revenue discount cost fee speed runtime temperature"
)
CATEGORIES = _set(
    "id type category cat categorical code class brand tag status level tier range flag group segment zip postcode "
    "kind onehot gender sex occupation country city region lang language os device browser platform is has genre "
    "position rank slot hour weekday dow month"
)
_ATTRIBUTES = (CATEGORIES | NUMBERS | _set("feature location affinity history")) - IDENTIFIERS
TIMES = _set(
    "time timestamp ts at when datetime date day created logged event occurred unix epoch utc t ms shown served"
)
EXACT_TIMES = _set("time timestamp ts datetime at")
OTHER_DATES = _set(
    "birth birthday birthdate dob born join joined signup signedup register registered registration enrolled since "
    "upload uploaded publish published publication release released premiere expiry expires expiration updated "
    "modified founded"
)
PARTS_OF_TIME = _set("date hour hourmin minute day weekday dow month week year dt dayofweek")
POSITIONS = _set(
    "position rank ranking slot index pos rang platz posicion puesto posizione posicao positie plek pozycja "
    "placering позиция место 位置 排名 順位 순위"
)
# Of these the words before them say whether of what is shown: the rank of a city is none of an item in a list.
_RANKS = _set("rank ranking index")
_IN_A_LIST = (ITEMS | REQUESTS | POSITIONS).union(*DOMAINS[:2]) | _set(
    "list row result display displayed show shown view grid column col recommendation rec recommended in on the of "
    "original orig initial final model predicted"
)
# What a place that is only counted ends with: the number of a page is no page.
_COUNTED = (NUMBERS | POSITIONS | _set("no nr serial seq sequence depth")) - frozenset().union(*DOMAINS)


def is_place(name: str) -> bool:
    """Whether a name says where among others an item was shown.

    >>> [is_place(name) for name in ("position", "ad_rank", "row_index", "city_rank", "development_index", "slot")]
    [True, True, True, False, False, True]
    """
    *before, last = words(name) or ("",)
    return last in POSITIONS and (last not in _RANKS or _IN_A_LIST.issuperset(before))


def is_counted(name: str) -> bool:
    """Whether a name says which of several in a row, or how many.

    >>> [is_counted(name) for name in ("page_no", "PAGE_SERIAL", "feed_position", "page", "slot_id")]
    [True, True, True, False, False]
    """
    return words(name)[-1:] != () and words(name)[-1] in _COUNTED


def is_before(name: str) -> bool:
    """Whether a name says that the column looks back: `click_sequence`, `clicks_7d`.

    >>> [is_before(name) for name in ("click_sequence", "clicks_7d", "last_click_item", "click_7", "click")]
    [True, True, True, False, False]
    """
    joined = [*words(name), *(a + b for a, b in pairwise(words(name)))]
    return has(name, BEFORE) or any(_WINDOW.match(word) for word in joined)


def of_its_own(name: str, vocabulary: frozenset[str]) -> bool:
    """Whether a name means who or what a word of the vocabulary says, not what such a one is like.

    >>> [of_its_own(name, USERS) for name in ("user_id", "visitor_country_id", "user_feature_0", "age")]
    [True, False, False, False]
    """
    rest = [word for word in words(name) if word not in IDENTIFIERS and not word.isdigit()]
    attribute = bool(rest) and rest[-1] not in vocabulary | WEAK_USERS and rest[-1] in _ATTRIBUTES
    return has(name, vocabulary) and not attribute


def rank(name: str, groups: tuple[frozenset[str], ...]) -> int | None:
    """The first group that a word of the name is in; `None`: in none."""
    return next((place for place, group in enumerate(groups) if has(name, group)), None)
